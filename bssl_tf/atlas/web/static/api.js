// Requests to the server that served this page. Paths are relative, so that the token stays in them.

export const windowId = sessionStorage.getItem("window") ?? crypto.randomUUID?.() ?? String(Math.random());
sessionStorage.setItem("window", windowId);

export class RequestError extends Error {
  constructor(message, status, conflict) {
    super(message);
    this.status = status;
    this.conflict = conflict;
  }
}

async function answerOf(response) {
  let content = null;
  try {
    content = await response.json();
  } catch {
    throw new RequestError(response.ok ? "The answer cannot be read." : `The server answered ${response.status}.`, response.status);
  }
  if (!response.ok) throw new RequestError(content.error, response.status, content.conflict === true);
  return content;
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new RequestError("The atlas does not answer. Start bssl-atlas again and open the address that it prints.", 0);
  }
  return answerOf(response);
}

export const get = (path) => request(`api/${path}`);
export const post = (path, values = {}) =>
  request(`api/${path}`, { method: "POST", body: JSON.stringify({ window: windowId, ...values }) });
export const postFile = (path, file) => request(`api/${path}`, { method: "POST", body: file });
export const thumbnail = (photo) => `thumbnail/${photo}`;
export const picture = (photo) => `picture/${photo}`;

// Elements from data. Text only ever becomes text nodes and attributes, never markup.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(made.style, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...given(children));
  return made;
}

const given = (children) => children.filter((child) => child != null && child !== false);

// What the panel under the tabs shows from now on.
export function controls(...children) {
  byId("controls").replaceChildren(...given(children));
}

export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

export function segments(label, values, chosen, choose) {
  const group = element("div", { class: "segments", role: "radiogroup", "aria-label": label });
  for (const [value, text] of values) {
    group.append(element("button", { type: "button", role: "radio", "data-value": value, "aria-checked": String(value === chosen), onclick: () => choose(value) }, text));
  }
  return arrowKeys(group, "radio");
}

// One tab stop a group; arrow keys go from button to button.
export function arrowKeys(group, role) {
  const state = role === "tab" ? "aria-selected" : "aria-checked";
  const buttons = () => [...group.querySelectorAll(`[role=${role}]`)];
  const settle = () => buttons().forEach((each) => (each.tabIndex = each.getAttribute(state) === "true" ? 0 : -1));
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const all = buttons();
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    next.click();
    const value = next.dataset.value ?? next.dataset.tab;
    const again = document.querySelector(`[role=${role}][data-value="${value}"], [role=${role}][data-tab="${value}"]`);
    (group.isConnected ? next : again)?.focus();
  });
  new MutationObserver(settle).observe(group, { subtree: true, attributes: true, attributeFilter: [state] });
  settle();
  return group;
}

export function message(text, isError = false) {
  const shown = element("p", { class: isError ? "message error" : "message" }, text);
  byId("messages").append(shown);
  while (byId("messages").children.length > 3) byId("messages").firstChild.remove();
  setTimeout(() => shown.remove(), isError ? 8000 : 3500);
}

export function ask(title, text, value = null, yes = "OK") {
  const dialog = byId("ask");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  byId("ask-input").hidden = value === null;
  byId("ask-input").value = value ?? "";
  dialog.returnValue = "";
  dialog.showModal();
  (value === null ? byId("ask-yes") : byId("ask-input")).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const agreed = dialog.returnValue === "yes";
      resolve(value === null ? agreed : agreed ? byId("ask-input").value : null);
    }, { once: true });
  });
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

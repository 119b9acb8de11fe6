"""Larq Compute Engine's interpreter in a process of its own, so that a file that crashes it ends nothing else.

The interpreter is C++ and trusts the file it is given. Here a new Python process, without TensorFlow and with bounded
memory, loads the engine's library alone and answers over a socket. It is a script for that process, too:

    python -I interpreter_process.py FILE_DESCRIPTOR LIBRARY THREADS MEMORY_BYTES

Messages are bytes: the file; then, back, the seconds that loading took; then the pixels of one or more images, and back
the seconds of the run and, image by image, all outputs, one behind the other.
"""

import importlib.util
import os
import signal
import struct
import subprocess
import sys
import tempfile
import weakref
from multiprocessing.connection import Connection, Pipe

SECONDS_FOR_AN_ANSWER = 120.0
MEMORY_BYTES = 6 * 2**30
_LIBRARY = ("tflite", "python", "interpreter_wrapper_lite.so")
_SECONDS = struct.Struct("<d")
_LONGEST_REASON = 300


class InterpreterCrash(RuntimeError):
    """The process has died, refused the file or fallen silent; the message says which."""


class InterpreterProcess:
    """A loaded file, waiting for images.

    Args:
        content: a .tflite file.
        num_threads: of the interpreter.
        output_bytes: length of all outputs of an image together.

    Attributes:
        start_seconds: what the interpreter took to load the file.

    Raises:
        InterpreterCrash: it cannot load the file.
    """

    def __init__(self, content: bytes, num_threads: int, output_bytes: int):
        found = importlib.util.find_spec("larq_compute_engine")
        if found is None or not found.submodule_search_locations:
            raise ModuleNotFoundError("larq_compute_engine is not installed")
        package = found.submodule_search_locations[0]
        self._output_bytes = output_bytes
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 – closed with the process
        self._connection, theirs = Pipe()
        arguments = (theirs.fileno(), os.path.join(package, *_LIBRARY), num_threads, MEMORY_BYTES + 3 * len(content))
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, *map(str, arguments)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._messages,
            stderr=self._messages,
            start_new_session=True,  # Ctrl-C is the caller's to handle
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        theirs.close()
        self._end = weakref.finalize(self, _end, self._process, self._connection)
        self.start_seconds, _ = self._answer_to(content, 0)

    def run(self, pixels: bytes, images: int = 1) -> tuple[float, bytes]:
        """Seconds that the interpreter took, and the outputs, for one image or more.

        Raises:
            InterpreterCrash: it died, or gave no answer in time.
        """
        return self._answer_to(pixels, images * self._output_bytes)

    def close(self) -> None:
        """End the process; it also ends with this object."""
        self._end()

    def _answer_to(self, message: bytes, length: int) -> tuple[float, bytes]:
        try:
            self._connection.send_bytes(message)
            if not self._connection.poll(SECONDS_FOR_AN_ANSWER):
                self.close()
                raise InterpreterCrash(f"gives no answer within {SECONDS_FOR_AN_ANSWER:.0f} s")
            answer = self._connection.recv_bytes(_SECONDS.size + length)
        except (OSError, EOFError):
            raise InterpreterCrash(self._reason()) from None
        if len(answer) != _SECONDS.size + length:
            raise InterpreterCrash(f"gives {len(answer) - _SECONDS.size} bytes where its outputs have {length}")
        return _SECONDS.unpack_from(answer)[0], answer[_SECONDS.size :]

    def _reason(self) -> str:
        self.close()
        status = self._process.returncode
        self._messages.seek(0)
        lines = self._messages.read(1 << 16).decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        if status < 0 and status not in (-signal.SIGKILL, -signal.SIGTERM):
            return f"crashes with {signal.Signals(-status).name}"
        return f"fails: {said[-1][:_LONGEST_REASON]}" if said else f"ends with status {status}"


def _end(process: subprocess.Popen, connection: Connection) -> None:
    connection.close()
    try:
        process.wait(timeout=1.0)  # it ends by itself when the connection does
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(descriptor: int, library: str, num_threads: int, memory: int) -> None:
    import resource
    import time

    import numpy as np

    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    memory = memory if allowed == resource.RLIM_INFINITY else min(memory, allowed)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    spec = importlib.util.spec_from_file_location("interpreter_wrapper_lite", library)
    if spec is None or spec.loader is None:
        raise ImportError(f"{library} is no extension module")
    engine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(engine)
    connection = Connection(descriptor)
    content = connection.recv_bytes()
    begin = time.perf_counter()
    interpreter = engine.LiteInterpreter(content, num_threads, False, False, False)
    connection.send_bytes(_SECONDS.pack(time.perf_counter() - begin))
    shape, kind = interpreter.input_shapes[0], interpreter.input_types[0]
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        pixels = np.frombuffer(message, kind).reshape(-1, *shape)
        begin = time.perf_counter()
        outputs = [output for image in pixels for output in interpreter.predict([image])]
        seconds = time.perf_counter() - begin
        connection.send_bytes(_SECONDS.pack(seconds) + b"".join(np.ascontiguousarray(x).tobytes() for x in outputs))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

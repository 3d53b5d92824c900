"""What users' code may do while it is loaded, and what is said of it: the line that counts ends in `# here`."""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

FILTER = """
import msgspec
from mosn_mp.filter.stream_filter import StreamFilter
class Config(msgspec.Struct):
    def __post_init__(self):
        {post_init}
class Mine(StreamFilter):
    Config = Config
    def __init__(self, config):
        {init}
    def wants(self, phase):
        {wants}
        return True
    def on_request(self, stream):
        pass
{module}
"""
CODEC = """
from mosn_mp.codec.python_protocol import PythonProtocol
class Mine(PythonProtocol):
    name = "mine"
    magic = b"x"
    id_bits = 32
    def __init__(self):
        {init}
{module}
"""
LOG = """
def mine(record):
    return ""
{module}
"""
# Where users' code runs at load: the file's text, and what of it is the misdeed
PLACES: dict[str, tuple[str, str]] = {
    "filter module": (FILTER, "module"),
    "filter __init__": (FILTER, "init"),
    "filter wants": (FILTER, "wants"),
    "filter Config": (FILTER, "post_init"),
    "codec module": (CODEC, "module"),
    "codec __init__": (CODEC, "init"),
    "access-log function": (LOG, "module"),
}

class Misdeed(NamedTuple):
    """*code* to run, and the *problem* that it is, before its place; *has_line* False: nothing can tell which line it was."""

    code: str
    problem: str
    has_line: bool = True


def _raising(error: str) -> Misdeed:
    name = error.partition("(")[0].rpartition(".")[2]
    return Misdeed(f"raise {error}  # here", f"{name}")


MISDEEDS: dict[str, Misdeed] = {
    "a missing key": Misdeed("{}['x']  # here", "KeyError: 'x'"),
    "a division by zero": Misdeed("1 / 0  # here", "ZeroDivisionError: division by zero"),
    "a type that does not fit": Misdeed("len(5)  # here", "TypeError: object of type 'int' has no len()"),
    "a value that does not fit": Misdeed("int('x')  # here", "ValueError: invalid literal for int() with base 10: 'x'"),
    "a name that is not there": Misdeed("nothing  # here", "NameError: name 'nothing' is not defined"),
    "a missing attribute": Misdeed("object().x  # here", "AttributeError: 'object' object has no attribute 'x'"),
    "a failing assertion": Misdeed("assert False, 'no'  # here", "AssertionError: no"),
    "a file that is not there": Misdeed("open('/nowhere')  # here", "FileNotFoundError: [Errno 2]"),
    "an endless recursion": Misdeed("f = lambda: f()  # here\nf()", "RecursionError: maximum recursion depth exceeded"),
    "an error within the library": Misdeed("import json\njson.loads('{')  # here", "JSONDecodeError: Expecting property name"),
    "an error without a text": Misdeed(
        "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\nraise Mute  # here",
        "Mute: an error without a text",
    ),
    "an endless text": Misdeed("raise ValueError('x' * 1000000)  # here", "ValueError: xxx"),
    "a text of many lines": Misdeed("raise RuntimeError('a\\nb\\x1b[2J')  # here", "RuntimeError: a"),
    "a group of errors": Misdeed("raise ExceptionGroup('two', [ValueError(), KeyError()])  # here", "ExceptionGroup: two"),
    "StopIteration": _raising("StopIteration"),
    "GeneratorExit": _raising("GeneratorExit"),
    "MemoryError": _raising("MemoryError('none')"),
    "SystemExit": _raising("SystemExit"),
    "SystemExit with a status": Misdeed("raise SystemExit(3)  # here", "SystemExit: 3"),
    "sys.exit with a text": Misdeed("import sys\nsys.exit('bye')  # here", "SystemExit: bye"),
    "KeyboardInterrupt": _raising("KeyboardInterrupt"),
    "GreenletExit": Misdeed("import gevent\nraise gevent.GreenletExit  # here", "GreenletExit"),
    "a gevent timeout": Misdeed("import gevent\nraise gevent.Timeout(1)  # here", "Timeout: 1 second"),
    "an error of its own": Misdeed("class Mine(BaseException):\n    pass\nraise Mine('x')  # here", "Mine: x"),
    "os._exit": Misdeed("import os\nos._exit(0)  # here", "loading it ends the process (_exit)"),
    "posix._exit": Misdeed("import posix\nposix._exit(4)", "loading it ends the process with exit status 4", has_line=False),
    "os.abort": Misdeed("import os\nos.abort()  # here", "loading it ends the process (abort)"),
    "an exit that it tries to survive": Misdeed(
        "import os\ntry:\n    os._exit(1)  # here\nexcept BaseException:\n    pass", "loading it ends the process (_exit)"
    ),
    "a crash": Misdeed("import ctypes\nctypes.string_at(1)  # here", "loading it ends the process by SIGSEGV"),
    "a signal to itself": Misdeed("import os\nos.kill(os.getpid(), 9)  # here", "loading it sends a signal to the program"),
    "a signal to its parent": Misdeed("import os\nos.kill(os.getppid(), 15)  # here", "loading it sends a signal to the program"),
    "a signal to its group": Misdeed("import os\nos.kill(0, 15)  # here", "loading it sends a signal to the program"),
    "raise_signal": Misdeed("import signal\nsignal.raise_signal(9)", "loading it takes longer than", has_line=False),
    "an endless loop": Misdeed("while True: pass  # here", "loading it takes longer than 0.5 s"),
    "an endless wait": Misdeed("import time\ntime.sleep(1000)  # here", "loading it takes longer than 0.5 s"),
    "a lock that nobody frees": Misdeed(
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()  # here", "loading it takes longer than 0.5 s"
    ),
    "an endless computation in C": Misdeed(
        "import re\nre.match('(a+)+$', 'a' * 40 + 'b')  # here", "loading it takes longer than 0.5 s"
    ),
    "a connection that waits": Misdeed(
        "import socket\na, b = socket.socketpair()\na.recv(1)  # here", "loading it takes longer than 0.5 s"
    ),
    "gevent.sleep without an end": Misdeed(
        "import gevent\ngevent.sleep(1000)", "loading it takes longer than 0.5 s", has_line=False
    ),
    "a wait for nobody in gevent": Misdeed(
        "import gevent.event\ngevent.event.Event().wait()  # here", "LoopExit: This operation would block forever"
    ),
    "a question to nobody": Misdeed("input()  # here", "EOFError: EOF when reading a line"),
    "a fork": Misdeed("import os\nos.fork()  # here", "loading it forks the process"),
    "a fork bomb": Misdeed("import os\nwhile True:\n    os.fork()  # here", "loading it forks the process"),
    "a forked terminal": Misdeed("import pty\npty.fork()  # here", "loading it forks the process"),
    "multiprocessing": Misdeed(
        "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()  # here",
        "loading it forks the process",
    ),
    "another program in its place": Misdeed(
        "import os\nos.execv('/bin/true', ['true'])  # here", "loading it replaces the process by another program"
    ),
    "a program that does not end": Misdeed(
        "import subprocess\nsubprocess.run(['sleep', '1000'])  # here", "loading it takes longer than 0.5 s"
    ),
    "two gigabytes": Misdeed("bytearray(2 << 30)  # here", "MemoryError"),
    "memory bit by bit": Misdeed("kept = []\nwhile True:\n    kept.append(bytes(1 << 20))  # here", "MemoryError"),
    "closing a descriptor": Misdeed("import os\nos.close(2)  # here", "loading it closes descriptor 2, which is not its own"),
    "closing all descriptors": Misdeed("import os\nos.closerange(1, 65536)  # here", "loading it closes descriptor 1, which"),
    "closing one by a file": Misdeed(
        "open(2, 'wb').close()", "loading it closes descriptors that are not its own: 2", has_line=False
    ),
    "another file in place of a descriptor": Misdeed(
        "import os\nos.dup2(os.open('/dev/null', os.O_RDONLY), 1)  # here", "loading it closes descriptor 1, which"
    ),
    "all descriptors that there may be": Misdeed(
        "kept = []\nwhile True:\n    kept.append(open('/dev/null'))  # here", "OSError: [Errno 24] Too many open files"
    ),
    "a thread": Misdeed(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9,)).start()  # here",
        "loading it starts a thread that goes on",
    ),
    "a thread of the lowest kind": Misdeed(
        "import _thread, time\n_thread.start_new_thread(time.sleep, (9,))  # here", "loading it starts a thread that goes on"
    ),
    "a pool of threads": Misdeed(
        "import time\nfrom concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor(1).submit(time.sleep, 9)  # here",
        "loading it starts a thread that goes on",
    ),
    "a signal handler": Misdeed(
        "import signal\nsignal.signal(signal.SIGTERM, print)  # here", "loading it changes the signals of the process"
    ),
    "an alarm": Misdeed("import signal\nsignal.alarm(1)  # here", "loading it changes the signals of the process"),
    "another directory": Misdeed(
        "import os\nos.chdir('/')  # here", "loading it changes the working directory of the process"
    ),
    "bad syntax": Misdeed("compile('x = (', __file__, 'exec')", "SyntaxError: '(' was never closed", has_line=False),
    "a module that is not there": Misdeed("import no_such_module  # here", "no_such_module"),
}


def text_of(place: str, code: str) -> str:
    """The file of a user whose *place* runs *code*."""
    template, slot = PLACES[place]
    indent = "" if slot == "module" else " " * 8
    parts = {"post_init": "pass", "init": "pass", "wants": "pass", "module": ""}
    return template.format(**{**parts, slot: textwrap.indent(code, indent).lstrip()})


def configured(config: dict[str, Any], place: str, module: str, directory: Path) -> None:
    """Name *module* in *config*."""
    listener = config["servers"][0]["listeners"][0]
    kind = place.partition(" ")[0]
    if kind == "filter":
        listener["stream_filters"] = [{"type": f"{module}:Mine", "python_path": str(directory), "config": {}}]
    elif kind == "codec":
        config["third_part_codec"] = {
            "codecs": [{"enable": True, "type": "python", "path": str(directory / f"{module}.py"), "loader_func_name": "Mine"}]
        }
    else:
        listener["access_logs"] = [
            {"log_path": str(directory / "a.log"), "log_format": f"%{module}:mine%", "python_path": str(directory)}
        ]

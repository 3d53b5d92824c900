"""The stream filters of a listener, compiled: for each phase a tuple of the calls that some filter wants.

The proxy tests `has_request` and so on before it calls run_request(): an empty phase costs that comparison. A phase ends early
when a filter answers (stream.reply()), returns a verdict, or raises; see stream_filter.py for what filters may return.
"""

import traceback
from collections.abc import Iterable, Sequence

import cython
from cython.cimports.cpython.bytes import PyBytes_GET_SIZE

from mosn_mp.filter.stream_filter import StreamFilter

# Verdicts that a phase allows, a bit each
_ALWAYS = cython.declare(cython.int, 1 << 0 | 1 << 1 | 1 << 2)
_ROUTE = cython.declare(cython.int, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3)
_HOST = cython.declare(cython.int, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4)


class FilteredStream:
    """What the chain keeps in a stream."""

    def clear_filters(self) -> cython.void:
        """Forget what filters kept of the request that ended."""
        self.replied = False
        self.filter_objects = None
        self.variable_values = None


class Step:
    """A method of a filter."""

    def __init__(self, call: object, name: str, changes_body: bool, slot: cython.int) -> None:
        self.call = call
        self.name = name
        self.changes_body = changes_body
        self.slot = slot

    def _filter_of(self, chain: FilterChain, stream: FilteredStream) -> object:
        """The stream's own object of a per-stream filter, made now if this is its first call."""
        if stream.filter_objects is None:
            stream.filter_objects = [None] * len(chain.factories)
        made: object = stream.filter_objects[self.slot]
        if made is None:
            factory, config = chain.factories[self.slot]
            made = factory(config)
            stream.filter_objects[self.slot] = made
        return made


class FilterChain:
    """`FilterChain(filters)`: for each filter the object that all streams share, or (class, config) of a per-stream one."""

    def __init__(self, filters: Sequence[StreamFilter | tuple[type[StreamFilter], object]] = ()) -> None:
        self.failures = {}
        self.filters = tuple([one for one in filters if isinstance(one, StreamFilter)])
        self.factories = tuple([one for one in filters if not isinstance(one, StreamFilter)])
        slots = iter(range(len(self.factories)))
        forwards = [(one, -1 if isinstance(one, StreamFilter) else next(slots)) for one in filters]
        backwards = forwards[::-1]
        self.request = self._steps(forwards, "on_request")
        self.route = self._steps(forwards, "on_route")
        self.host = self._steps(forwards, "on_host")
        self.request_data = self._steps(forwards, "on_request_data")
        self.request_trailers = self._steps(forwards, "on_request_trailers")
        self.response = self._steps(backwards, "on_response")
        self.response_data = self._steps(backwards, "on_response_data")
        self.response_trailers = self._steps(backwards, "on_response_trailers")
        self.end = self._steps(backwards, "on_end")
        self.has_request = len(self.request) > 0
        self.has_route = len(self.route) > 0
        self.has_host = len(self.host) > 0
        self.has_request_data = len(self.request_data) > 0
        self.has_request_trailers = len(self.request_trailers) > 0
        self.has_response = len(self.response) > 0
        self.has_response_data = len(self.response_data) > 0
        self.has_response_trailers = len(self.response_trailers) > 0
        self.has_end = len(self.end) > 0
        self.changes_request_body = any([step.changes_body for step in self.request_data])
        self.changes_response_body = any([step.changes_body for step in self.response_data])

    def _steps(self, filters: Iterable[tuple[object, int]], method: str) -> tuple:
        steps = []
        for one, slot in filters:
            cls = type(one) if slot < 0 else one[0]
            if getattr(cls, method) is getattr(StreamFilter, method) or (slot < 0 and not one.wants(method)):
                continue
            changes = cls.changes_request_body if method == "on_request_data" else cls.changes_response_body
            call = getattr(one if slot < 0 else cls, method)
            steps.append(Step(call, f"{cls.__module__}:{cls.__qualname__}.{method}", changes, slot))
        return tuple(steps)

    def run_request(self, stream: FilteredStream) -> cython.int:
        """Before routing: CONTINUE, STOP or TERMINATE."""
        return self._run(self.request, stream, _ALWAYS)

    def run_route(self, stream: FilteredStream) -> cython.int:
        """After routing: CONTINUE, STOP, TERMINATE or RE_MATCH."""
        return self._run(self.route, stream, _ROUTE)

    def run_host(self, stream: FilteredStream) -> cython.int:
        """After a host was chosen: CONTINUE, STOP, TERMINATE or RE_CHOOSE."""
        return self._run(self.host, stream, _HOST)

    def run_response(self, stream: FilteredStream) -> cython.int:
        """Before the response head is sent: CONTINUE, STOP or TERMINATE."""
        return self._run(self.response, stream, _ALWAYS)

    def run_request_trailers(self, stream: FilteredStream) -> cython.int:
        """Before the request's trailers are sent: CONTINUE, STOP or TERMINATE."""
        return self._run(self.request_trailers, stream, _ALWAYS)

    def run_response_trailers(self, stream: FilteredStream) -> cython.int:
        """Before the response's trailers are sent: CONTINUE, STOP or TERMINATE."""
        return self._run(self.response_trailers, stream, _ALWAYS)

    def run_request_data(self, stream: FilteredStream, data: bytes, end: cython.bint) -> bytes:
        """What to send upstream for the piece *data*."""
        return self._run_data(self.request_data, stream, data, end)

    def run_response_data(self, stream: FilteredStream, data: bytes, end: cython.bint) -> bytes:
        """What to send downstream for the piece *data*."""
        return self._run_data(self.response_data, stream, data, end)

    def run_end(self, stream: FilteredStream) -> cython.int:
        """Call every on_end; if one raises the others still run, and it is raised afterwards."""
        return self._run_end_from(stream, 0)

    def _run(self, steps: tuple, stream: FilteredStream, allowed: cython.int) -> cython.int:
        step: Step
        i: cython.Py_ssize_t
        verdict: object
        code: cython.int
        replied: cython.bint = stream.replied  # response filters run over local replies too
        for i in range(len(steps)):
            step = cython.cast(Step, steps[i])
            verdict = step.call(stream) if step.slot < 0 else step.call(step._filter_of(self, stream), stream)
            if verdict is not None:
                code = _code(step, verdict, allowed)
                if code == STOP and not stream.replied and steps is not self.response:
                    raise RuntimeError(f"{step.name} returned STOP without having called stream.reply()")
                if code != CONTINUE:
                    return code
            if stream.replied and not replied:
                return STOP
        return CONTINUE

    def _run_data(self, steps: tuple, stream: FilteredStream, data: bytes, end: cython.bint) -> bytes:
        step: Step
        i: cython.Py_ssize_t
        given: object
        replied: cython.bint = stream.replied
        for i in range(len(steps)):
            step = cython.cast(Step, steps[i])
            if step.slot < 0:
                given = step.call(stream, data, end)
            else:
                given = step.call(step._filter_of(self, stream), stream, data, end)
            if stream.replied and not replied:
                return b""
            if given is None:
                continue
            if not isinstance(given, bytes):
                raise TypeError(f"{step.name} returned {type(given).__name__}; it returns bytes, or None for the piece as it is")
            if PyBytes_GET_SIZE(given) != PyBytes_GET_SIZE(data) and not step.changes_body:
                # the length was announced already
                kind = "changes_request_body" if steps is self.request_data else "changes_response_body"
                raise ValueError(f"{step.name} changed the length of the body; set {kind} = True in its class")
            data = given
            if not data and not end:
                return data
        return data

    def _run_end_from(self, stream: FilteredStream, index: cython.Py_ssize_t) -> cython.int:
        if index == len(self.end):
            return 0
        step: Step = cython.cast(Step, self.end[index])
        try:
            if step.slot < 0:
                step.call(stream)
            else:
                step.call(step._filter_of(self, stream), stream)
        finally:
            self._run_end_from(stream, index + 1)
        return 0

    def count_failure(self, error: BaseException) -> tuple[str, int]:
        """The name of the step that raised *error*, and how often it did so far; ("", 0) if none did."""
        calls = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
        said = str(error) if type(error) in (RuntimeError, TypeError, ValueError) else ""  # we raise these, for a verdict
        forwards = self.request + self.route + self.host + self.request_data + self.request_trailers
        for step in forwards + self.response + self.response_data + self.response_trailers + self.end:
            if getattr(step.call, "__code__", None) in calls or said.startswith(step.name):
                self.failures[step.name] = self.failures.get(step.name, 0) + 1
                return step.name, self.failures[step.name]
        return "", 0

    def run(self, phase: str, stream: FilteredStream, data: bytes = b"", end: bool = False) -> int | bytes:
        """Python's side of the run_ methods, for tests of filters: *phase* is the method's name, `on_request` and so on.

        The verdict, or for the data phases the piece to pass on.
        """
        if phase in ("on_request_data", "on_response_data"):
            steps = self.request_data if phase == "on_request_data" else self.response_data
            return self._run_data(steps, stream, data, end)
        if phase == "on_end":
            return self.run_end(stream)
        phases = {
            "on_request": (self.request, _ALWAYS),
            "on_route": (self.route, _ROUTE),
            "on_host": (self.host, _HOST),
            "on_request_trailers": (self.request_trailers, _ALWAYS),
            "on_response": (self.response, _ALWAYS),
            "on_response_trailers": (self.response_trailers, _ALWAYS),
        }
        steps, allowed = phases[phase]
        return self._run(steps, stream, allowed)

    def begin(self, stream: FilteredStream) -> None:
        """Make *stream* ready for its next request, as the proxy does between two; for tests of filters."""
        stream.clear_filters()


@cython.cfunc
@cython.exceptval(-1, check=False)
def _code(step: Step, verdict: object, allowed: cython.int) -> cython.int:
    code: cython.int = verdict if isinstance(verdict, int) and 0 <= verdict <= RE_CHOOSE else -1
    if code < 0:
        raise TypeError(f"{step.name} returned {verdict!r}; it returns None, STOP, TERMINATE, RE_MATCH or RE_CHOOSE")
    if not allowed >> code & 1:
        name = "RE_MATCH" if code == RE_MATCH else "RE_CHOOSE"
        raise ValueError(f"{step.name} returned {name}, which only {'on_route' if code == RE_MATCH else 'on_host'} may return")
    return code

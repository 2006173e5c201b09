"""Errors that mean something: each says what the caller does next."""


class MarqueeError(Exception):
    """Any error that Marquee raises on purpose."""


class BadEvent(MarqueeError):
    """An event that can never be handled. Answered 400: the source sends it to the dead letters."""


class BadInput(MarqueeError):
    """A file, an argument or data somebody gave is unusable; the message names it and the value. Answered 400."""


class BadSettings(MarqueeError):
    """Settings are missing or wrong; the message lists every one of them."""


class NotReady(MarqueeError):
    """A store cannot be reached, or nothing is loaded yet. Answered 503: the source retries."""


class NotFound(MarqueeError):
    """There is no object of that name. In an event that names one: answered 400, as it was stored before."""


class Conflict(MarqueeError):
    """Somebody else wrote first. Answered 409: the source retries, and finds the work done."""


class Corrupt(MarqueeError):
    """Stored bytes are not what their manifest or format says. They are never used."""

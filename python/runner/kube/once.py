"""Sends a write once, whatever becomes of its answer.

aiohttp repeats PUT, DELETE and the GET of a handshake when their connection ends before an answer. A client then takes
its own success for a conflict, and a command would run twice.
"""

import aiohttp

__all__ = ["AnswerLost", "once"]


class AnswerLost(aiohttp.ClientConnectionError):
    """A connection that ended between a write and its answer: whether it took effect is unknown."""


async def once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A middleware that turns the errors after which aiohttp would send a request again into another."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent, and aiohttp does not repeat it
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise AnswerLost(str(error) or type(error).__name__) from error

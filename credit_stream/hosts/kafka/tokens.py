"""Tokens for OAUTHBEARER under aiokafka and Faust: OAuth 2.0 client credentials (RFC 6749 section 4.4).

librdkafka gets its tokens by itself (`sasl.oauthbearer.method=oidc`). This asks in the same way, so that one
configuration serves both hosts: client id and secret in the header, grant type and scope in the body.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from time import monotonic

import aiohttp
import msgspec
from aiokafka.abc import AbstractTokenProvider
from msgspec import Struct

from credit_stream.hosts.kafka.failures import Unreachable
from credit_stream.hosts.kafka.secret import NO_SECRET, Secret

LIFETIME_USED = 0.8
"""Of a token's lifetime; what is older is not shown to a broker any more. librdkafka refreshes at the same share."""
LIFETIME_SECONDS_UNKNOWN = 60.0
"""Where the answer does not say how long a token lives."""
TIMEOUT_SECONDS = 10.0
TRIES_MAX = 4
PAUSE_SECONDS_FIRST = 0.25
ANSWER_BYTES_MAX = 64 * 1024


class _Answer(Struct):
    access_token: str
    expires_in: float = LIFETIME_SECONDS_UNKNOWN


class _Error(Struct):
    error: str = ""
    error_description: str = ""


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Gives the token that it has until most of its lifetime is over, then gets another.

    Faust asks from two threads with a loop each, so nothing in here belongs to a loop; the worst that two askers at
    once can do is to get two tokens.
    """

    def __init__(self, *, endpoint: str, client_id: str, secret: Secret, scope: str = "", ca_file: str = "") -> None:
        self._endpoint = endpoint
        self._client_id = client_id
        self._secret = secret
        self._scope = scope
        self._ca_file = ca_file
        self._token = NO_SECRET
        self._good_until = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._client_id} at {self._endpoint}>"

    async def token(self) -> str:
        """A token that is good for a while yet. Raises Unreachable when the endpoint gives none."""
        if not self._token or monotonic() >= self._good_until:
            asked_at = monotonic()
            answer = await self._patiently()
            self._token = Secret(answer.access_token)
            self._good_until = asked_at + LIFETIME_USED * answer.expires_in
        return self._token.reveal()

    async def _patiently(self) -> _Answer:
        pause = PAUSE_SECONDS_FIRST
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                return await self._ask()
            except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
                if not tries_left:
                    raise self._failure(str(error) or type(error).__name__) from None
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("the last try returns or raises")

    async def _ask(self) -> _Answer:
        body = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        login = b64encode(f"{self._client_id}:{self._secret.reveal()}".encode()).decode()
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                self._endpoint,
                data=body,
                headers={"accept": "application/json", "authorization": f"Basic {login}"},
                ssl=ssl.create_default_context(cafile=self._ca_file or None),
                allow_redirects=False,
            ) as response,
        ):
            text = await _text_of(response)
            if response.status >= 500:
                raise aiohttp.ClientError(f"it answered {response.status}")
            if response.status != 200:
                raise self._failure(f"it answered {response.status} {_reason(text)}".rstrip())
            return self._read(text)

    def _read(self, text: bytes) -> _Answer:
        try:
            return msgspec.json.decode(text, type=_Answer, strict=False)
        except msgspec.MsgspecError:
            raise self._failure("its answer is no token") from None

    def _failure(self, reason: str) -> Unreachable:
        return Unreachable(
            f"{self._endpoint} gives no token to {self._client_id}: {reason}. "
            "Look at oauth_token_endpoint, oauth_client_id, oauth_client_secret, oauth_scope and oauth_ca_file."
        )


async def _text_of(response: aiohttp.ClientResponse) -> bytes:
    text = b""
    async for piece in response.content.iter_any():
        text += piece
        if len(text) > ANSWER_BYTES_MAX:
            raise aiohttp.ClientError(f"its answer is larger than {ANSWER_BYTES_MAX:,} bytes")
    return text


def _reason(text: bytes) -> str:
    """The error code and description of RFC 6749 section 5.2, if the answer has them."""
    try:
        found = msgspec.json.decode(text, type=_Error)
    except msgspec.MsgspecError:
        return ""
    return f"{found.error} {found.error_description}".strip()[:200]

"""Which access tokens are accepted, and that nothing else is (ASVS 5.0, V9)."""

import base64
import hmac
import json
import warnings
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from infrastructure import tokens
from infrastructure.principals import Principal, Role
from infrastructure.settings import TokenSettings
from infrastructure.tokens import (
    CACHE_SECONDS_MAX,
    LEEWAY_SECONDS,
    TokenIssuer,
    TokenRefused,
    TokenVerifier,
)

KEY = "only-for-tests-0123456789abcdef-ABCDEF"
NOW = 1_800_000_000
PRINCIPAL = Principal(UUID(int=7), "acme", Role.OPERATOR, 3, "ada")


class HandClock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.seconds = float(NOW)

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def issuer(clock: HandClock) -> TokenIssuer:
    return TokenIssuer(settings(), clock)


@pytest.fixture
def verifier(clock: HandClock) -> TokenVerifier:
    return TokenVerifier(settings(), clock)


def settings(**changes: Any) -> TokenSettings:
    return TokenSettings(_env_file=None, **{"secret_key": KEY, **changes})


def claims(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "sub": str(UUID(int=7)),
        "tenant": "acme",
        "role": "client",
        "sv": 1,
        "jti": "1",
        "iat": NOW,
        "exp": NOW + 60,
        "iss": "magictoolbox",
        "aud": "magictoolbox-api",
        "typ": "access",
    }
    merged = good | changes
    return {name: value for name, value in merged.items() if value is not ...}


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: object, body: object, key: str = KEY, hash_name: str = "sha256") -> str:
    """A token as an attacker would write it, with any header."""
    start = f"{part(header)}.{part(body)}"
    mac = hmac.digest(key.encode(), start.encode(), hash_name)
    return f"{start}.{part(mac)}"


GOOD_HEADER = {"alg": "HS256", "typ": "JWT"}


def test_an_issued_token_names_its_principal(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    token = issuer.issue(PRINCIPAL)

    assert verifier.verify(token.token) == PRINCIPAL
    assert token.expires_in == 30 * 60


def test_the_attackers_pen_can_write_a_good_token(verifier: TokenVerifier) -> None:
    """Without this, the refusals below could have a reason other than the one meant."""
    principal = verifier.verify(signed(GOOD_HEADER, claims()))

    assert (principal.tenant, principal.role, principal.username) == ("acme", Role.CLIENT, None)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_survives_the_way(
    issuer: TokenIssuer, verifier: TokenVerifier, role: Role
) -> None:
    principal = Principal(uuid4(), "acme", role, 0)

    assert verifier.verify(issuer.issue(principal).token) == principal


_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_PUBLIC_PEM = (
    _RSA.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


FORGED = {
    "no signature, alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}.",
    "alg None": f"{part({'alg': 'None', 'typ': 'JWT'})}.{part(claims())}.",
    "alg nOnE": f"{part({'alg': 'nOnE', 'typ': 'JWT'})}.{part(claims())}.",
    "good header, signature cut off": signed(GOOD_HEADER, claims()).rpartition(".")[0] + ".",
    "signature part missing": signed(GOOD_HEADER, claims()).rpartition(".")[0],
    "alg missing": signed({"typ": "JWT"}, claims()),
    "alg unknown": signed({"alg": "HS1", "typ": "JWT"}, claims()),
    "alg not text": signed({"alg": ["HS256"], "typ": "JWT"}, claims()),
    "alg twice": signed(b'{"alg":"none","typ":"JWT","alg":"none"}', claims()),
    "other hash": signed({"alg": "HS512", "typ": "JWT"}, claims(), hash_name="sha512"),
    "signed with a public key as secret": signed(GOOD_HEADER, claims(), key=_PUBLIC_PEM),
    "signed by RSA": jwt.encode(claims(), _RSA, "RS256"),
    "wrong key": signed(GOOD_HEADER, claims(), key=KEY + "x"),
    "empty key": signed(GOOD_HEADER, claims(), key=""),
    "kid as a path": signed({**GOOD_HEADER, "kid": "../../../dev/null"}, claims()),
    "kid as SQL": signed({**GOOD_HEADER, "kid": "' OR 1=1 --"}, claims()),
    "kid as an address": signed({**GOOD_HEADER, "kid": "http://127.0.0.1/k"}, claims()),
    "jku": signed({**GOOD_HEADER, "jku": "http://127.0.0.1/jwks"}, claims()),
    "x5u": signed({**GOOD_HEADER, "x5u": "http://127.0.0.1/x"}, claims()),
    "jwk": signed({**GOOD_HEADER, "jwk": {"kty": "oct", "k": part(b"x" * 32)}}, claims()),
    "crit": signed({**GOOD_HEADER, "crit": ["exp"]}, claims()),
    "b64 false": signed({**GOOD_HEADER, "b64": False}, claims()),
    "typ other": signed({"alg": "HS256", "typ": "at+jwt"}, claims()),
    "header not an object": signed([1], claims()),
    "body not an object": signed(GOOD_HEADER, [1]),
    "body not JSON": signed(GOOD_HEADER, b"\xff\xfe"),
    "expired": signed(GOOD_HEADER, claims(exp=NOW)),
    "no exp": signed(GOOD_HEADER, claims(exp=...)),
    "exp as text": signed(GOOD_HEADER, claims(exp="9999999999")),
    "exp endless": signed(GOOD_HEADER, b'{"exp":1e999}'),
    "exp true": signed(GOOD_HEADER, claims(exp=True)),
    "nbf in the future": signed(GOOD_HEADER, claims(nbf=NOW + 60)),
    "nbf as text": signed(GOOD_HEADER, claims(nbf="x")),
    "iat in the future": signed(GOOD_HEADER, claims(iat=NOW + 60)),
    "other issuer": signed(GOOD_HEADER, claims(iss="somebody")),
    "no issuer": signed(GOOD_HEADER, claims(iss=...)),
    "other audience": signed(GOOD_HEADER, claims(aud="another-api")),
    "a list of audiences": signed(GOOD_HEADER, claims(aud=["magictoolbox-api", "x"])),
    "no audience": signed(GOOD_HEADER, claims(aud=...)),
    "refresh used as access": signed(GOOD_HEADER, claims(typ="refresh")),
    "no type": signed(GOOD_HEADER, claims(typ=...)),
    "no subject": signed(GOOD_HEADER, claims(sub=...)),
    "subject a number": signed(GOOD_HEADER, claims(sub=7)),
    "subject no id": signed(GOOD_HEADER, claims(sub="admin")),
    "no jti": signed(GOOD_HEADER, claims(jti=...)),
    "no tenant": signed(GOOD_HEADER, claims(tenant=...)),
    "tenant not text": signed(GOOD_HEADER, claims(tenant=["acme"])),
    "role unknown": signed(GOOD_HEADER, claims(role="root")),
    "role not text": signed(GOOD_HEADER, claims(role=["admin"])),
    "session version missing": signed(GOOD_HEADER, claims(sv=...)),
    "session version true": signed(GOOD_HEADER, claims(sv=True)),
    "username not text": signed(GOOD_HEADER, claims(username=1)),
    "huge": signed(GOOD_HEADER, claims(extra="x" * 5_000)),
    "empty": "",
    "dots": "..",
    "five parts": "a.b.c.d.e",
    "not base64": "!!!.???.***",
    "not ASCII": "ü.ü.ü",
    "NUL": "\x00",
}  # fmt: skip


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        verifier.verify(token)

    assert str(refused.value) == TokenRefused.__doc__
    assert refused.value.__cause__ is None


def test_no_bit_of_a_token_can_be_flipped(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    token = issuer.issue(PRINCIPAL).token
    # The last character holds bits that belong to no byte.
    for at in range(len(token) - 1):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(TokenRefused):
            verifier.verify(changed)


@given(st.text(max_size=200))
def test_any_text_is_refused_without_another_error(text: str) -> None:
    with pytest.raises(TokenRefused):
        TokenVerifier(settings()).verify(text)


def test_a_token_of_another_algorithm_of_ours_is_refused(clock: HandClock) -> None:
    strong = TokenIssuer(settings(jwt_algorithm="HS512", secret_key=KEY * 2), clock)

    with pytest.raises(TokenRefused):
        TokenVerifier(settings(secret_key=KEY * 2), clock).verify(strong.issue(PRINCIPAL).token)


def test_a_known_token_expires_all_the_same(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: HandClock
) -> None:
    token = issuer.issue(PRINCIPAL)
    verifier.verify(token.token)

    clock.seconds += token.expires_in - 1
    assert verifier.verify(token.token) == PRINCIPAL
    clock.seconds += 1
    with pytest.raises(TokenRefused):
        verifier.verify(token.token)


def test_a_known_token_is_verified_anew_now_and_then(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: HandClock
) -> None:
    token = issuer.issue(PRINCIPAL).token

    first = verifier.verify(token)
    assert verifier.verify(token) is first
    clock.seconds += CACHE_SECONDS_MAX
    assert verifier.verify(token) is not first


def test_the_memory_of_tokens_is_bounded(
    issuer: TokenIssuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "CACHE_ENTRIES_MAX", 20)
    for number in range(20 + 5):
        verifier.verify(issuer.issue(Principal(UUID(int=number), "a", Role.CLIENT, 0)).token)

    assert len(verifier._known) == 20


def test_clocks_may_differ_a_little(verifier: TokenVerifier) -> None:
    assert verifier.verify(signed(GOOD_HEADER, claims(iat=NOW + LEEWAY_SECONDS)))


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_key_shorter_than_its_digest_is_refused_at_start(algorithm: str, least: int) -> None:
    settings(secret_key="k" * least, jwt_algorithm=algorithm)

    with pytest.raises(ValueError, match=f"at least {least} bytes"):
        settings(secret_key="k" * (least - 1), jwt_algorithm=algorithm)


def test_nothing_warns(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verifier.verify(issuer.issue(PRINCIPAL).token)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.CLIENT, {Role.CLIENT}),
        (Role.OPERATOR, {Role.CLIENT, Role.OPERATOR}),
        (Role.ADMIN, {Role.CLIENT, Role.OPERATOR, Role.ADMIN}),
        (Role.AUDITOR, {Role.AUDITOR}),
    ],
)
def test_a_role_allows_what_stands_below_it(role: Role, allowed: set[Role]) -> None:
    assert {needed for needed in Role if role.allows(needed)} == allowed

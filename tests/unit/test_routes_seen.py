"""The judgement that `--every-route` passes on a whole run."""

from tests.fixtures.routes import missing

ROUTES = [("GET", "/api/v1/a"), ("POST", "/api/v1/b")]


def test_a_route_seen_both_ways_is_not_named() -> None:
    seen = [("GET", "/api/v1/a", "304"), ("GET", "/api/v1/a", "404"), ("POST", "/api/v1/b", "202")]
    assert missing(ROUTES, seen) == ["no test saw POST /api/v1/b fail"]


def test_another_method_on_the_same_path_does_not_count() -> None:
    seen = [("HEAD", "/api/v1/a", "200"), ("GET", "/api/v1/a", "401")]
    assert "no test saw GET /api/v1/a succeed" in missing(ROUTES, seen)

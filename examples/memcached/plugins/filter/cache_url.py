"""A filter of the project's own; ansible.cfg says where it is."""

from urllib.parse import quote


def cache_url(cache, user, password, port):
    """Address of a cache for one user, as client libraries take it; what a URL gives a meaning to is escaped."""
    return f"memcached://{quote(user, safe='')}:{quote(password, safe='')}@{cache}:{port}"


class FilterModule:
    def filters(self):
        return {"cache_url": cache_url}

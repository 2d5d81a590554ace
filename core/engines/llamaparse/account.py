"""Where the service is, who asks, and how much of an answer is read into memory."""

from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import httpx2 as httpx
from pydantic import SecretStr

from core.engines.llamaparse.failures import not_the_simulator
from core.engines.llamaparse.wire import SIMULATOR_HEADER
from core.errors import SettingsError, SimulatorRefused
from core.settings import REGIONS

__all__ = ["Account", "has_proxy", "timeouts"]

_KEY_VARIABLE = "LLAMAPARSE_API_KEY"
_BAD_KEY = "the key is empty or holds characters that no key has."
_KEY_STEP = "Copy it again from LlamaCloud, without quotes or line breaks."
_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """Where the service is and who asks. Raises ``SettingsError`` for a key no header can carry."""

    base_url: str
    api_key: SecretStr
    simulated: bool

    def __post_init__(self) -> None:
        """A bad key fails here, not at the first document."""
        key = self.api_key.get_secret_value()
        if not key.strip() or not key.isascii() or not key.isprintable():
            raise SettingsError(_KEY_VARIABLE, _BAD_KEY, _KEY_STEP)

    @property
    def region(self) -> str:
        """``na`` or ``eu``; empty for any other address."""
        return next((name for name, url in REGIONS.items() if url == self.base_url), "")

    def check_identity(self, response: httpx.Response) -> None:
        """Raises ``UpstreamError`` when the simulator answers for the service, or the reverse."""
        is_simulator = SIMULATOR_HEADER in response.headers
        if is_simulator and not self.simulated:
            raise SimulatorRefused
        if self.simulated and not is_simulator:
            raise not_the_simulator()


def has_proxy(url: str) -> bool:
    """Whether the environment names a proxy for this address."""
    address, known = httpx.URL(url), getproxies()
    return bool({address.scheme, "all"} & known.keys()) and not proxy_bypass(address.host)


def timeouts(deadline_s: float) -> httpx.Timeout:
    """As patient in each part as in the whole, but for the connection."""
    return httpx.Timeout(deadline_s, connect=min(_CONNECT_S, deadline_s), pool=deadline_s)

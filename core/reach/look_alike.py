"""The look-alike of this process, for MOCK: the simulator on a loopback port of its own."""

from pathlib import Path

from core.clock import Clock
from core.domain.documents import ParsedDocument
from core.engines.local import LocalEngine
from core.serving import Served
from core.simulator import SimulatorConfig, create_simulator

__all__ = ["LookAlike"]


class LookAlike:
    """Serves from its making until it is closed; what it reads, the local engine reads."""

    def __init__(
        self, config: SimulatorConfig, data_dir: Path, local: LocalEngine, clock: Clock
    ) -> None:
        async def read(path: Path, name: str, pages: str) -> ParsedDocument:
            return await local.read(path, name, pages)

        folder = data_dir / "simulator"
        folder.mkdir(parents=True, exist_ok=True)
        app = create_simulator(
            config, folder, read, page_image=local.page_image, clock=clock, figures=local
        )
        self._served = Served(app)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._served.url

    def close(self) -> None:
        """Stop it."""
        self._served.close()

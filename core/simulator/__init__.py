"""A LlamaCloud look-alike: same wire, same signed webhooks over real HTTP, no cost."""

from core.simulator.app import create_simulator
from core.simulator.config import PageImage, Reader, SimulatorConfig

__all__ = ["PageImage", "Reader", "SimulatorConfig", "create_simulator"]

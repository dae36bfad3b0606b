"""A second battery for the bench: cells with two electrodes of single particles, from published measurements."""

from tinybms_lab.bench.physics.cell import SingleParticleCell, lowest_anode_v
from tinybms_lab.bench.physics.parameters import CHEN_2020, PARAMETERS, PRADA_2013, CellParameters

__all__ = ["CHEN_2020", "PARAMETERS", "PRADA_2013", "CellParameters", "SingleParticleCell", "lowest_anode_v"]

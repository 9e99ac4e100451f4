"""What the analyses recover of the planted truth: one table, made by ``make truth``.

Every topic is a module with a function ``checks(model, truth, recordings) -> list[Check]``, run on the twin that comes
with the package and on the truth itself as the model.
"""

from retina_nb.checks.check import Check, at_least, at_most

__all__ = ["Check", "at_least", "at_most"]

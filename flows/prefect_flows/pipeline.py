"""Everything that a recipe names, as a flow."""

from poseshift.flows import pipeline as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

run_recipe = flow_of(plain.run_recipe, "run", "run {recipe.name}", 72 * HOUR_S)

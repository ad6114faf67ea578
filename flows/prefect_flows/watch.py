"""One look for changes, as a flow."""

from poseshift.flows import watch as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

watch = flow_of(plain.watch, "watch", "watch {recipe.name}", 72 * HOUR_S)

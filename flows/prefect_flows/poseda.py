"""A paper's experiment, as a flow."""

from poseshift.flows.papers import poseda as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

reproduce_poseda = flow_of(
    plain.reproduce_poseda, "reproduce paper", "reproduce paper {request.out}", 72 * HOUR_S
)

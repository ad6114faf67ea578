"""Doing a recorded run again, as a flow."""

from poseshift.flows import reproduce as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

reproduce = flow_of(plain.reproduce, "reproduce", "reproduce {run}", 72 * HOUR_S)

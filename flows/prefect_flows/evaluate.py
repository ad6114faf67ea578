"""Measuring one lifter, as a flow."""

from poseshift.flows import evaluate as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

evaluate_once = flow_of(plain.evaluate_once, "evaluate", "evaluate {lifter}", 6 * HOUR_S)

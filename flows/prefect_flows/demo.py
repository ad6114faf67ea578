"""The demonstration, as a flow."""

from poseshift.flows import demo as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

demo = flow_of(plain.demo, "demo", "demo {options.out}", 72 * HOUR_S)

import numpy as np
import torch

from poseshift.adaptation.global_position import GlobalPositionConfig, TargetKeypoints
from poseshift.adaptation.staging import TargetStage
from poseshift.geometry.camera import rays_of


def test_clips_stand_where_the_drawn_camera_sees_people(
    make_columns, draw_people, square_camera, wide_camera, distorted_camera
) -> None:
    """Three of four target poses are seen by the first camera, and so are about three of four stagings."""
    camera = np.repeat([0, 1], (60, 20)).astype(np.int32)
    people = draw_people(np.random.default_rng(0), 80, spread=0.8)
    target = TargetKeypoints.from_poses(make_columns(people, (square_camera, wide_camera), camera))
    stage = TargetStage(GlobalPositionConfig(), target)
    rng = torch.Generator().manual_seed(1)
    clips = torch.as_tensor(draw_people(np.random.default_rng(1), 6))[:, None].expand(6, 3, 17, 3)
    drawn = []
    for _ in range(200):
        staged = stage(clips, distorted_camera, rng)
        number = target.cameras.index(staged.camera)
        drawn.append(number)
        roots = rays_of(staged.positions_camera[:, 1, 0])[:, None]
        distance = (roots - torch.as_tensor(target.rays[target.camera == number, 0])).abs().amax(dim=-1)
        assert float(distance.amin(dim=1).max()) < 1e-5
        relative = [one - one[..., :1, :] for one in (staged.positions_camera, clips)]
        torch.testing.assert_close(*relative, atol=1e-5, rtol=0)
    assert abs(np.mean(drawn) - 0.25) < 0.1

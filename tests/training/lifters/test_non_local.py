import pytest
import torch

from poseshift.training.lifters.non_local import NonLocal

MEMBERS = torch.tensor([[0, 1], [2, 3], [4, 4]])


@pytest.mark.parametrize("members", [None, MEMBERS], ids=["joints", "groups"])
@pytest.mark.parametrize("affinity", ["concatenation", "embedded-gaussian"])
def test_block_equals_its_formula_written_with_loops(affinity, members) -> None:
    torch.manual_seed(0)
    block = NonLocal(6, affinity, members).eval()
    torch.nn.init.normal_(block.norm.norm.weight)
    for bias in (block.query.bias, block.key.bias, block.value.bias, block.out.bias):
        torch.nn.init.normal_(bias)
    x = torch.randn(2, 5, 6)
    with torch.no_grad():
        for pose, found in zip(x, block(x), strict=True):
            query, key, value = block.query(pose), block.key(pose), block.value(pose)
            if members is not None:
                key = torch.stack([torch.maximum(key[a], key[b]) for a, b in members.tolist()])
                value = torch.stack([torch.maximum(value[a], value[b]) for a, b in members.tolist()])
            for i in range(5):
                if affinity == "concatenation":
                    score = block.score.flatten()
                    weights = torch.stack([torch.cat([query[i], k]) @ score for k in key]).relu() / len(key)
                else:
                    weights = torch.stack([(query[i] * k).sum() for k in key]).exp()
                    weights = weights / weights.sum()
                mean = sum(w * v for w, v in zip(weights, value, strict=True))
                scale = block.norm.norm.weight / (1 + 1e-5) ** 0.5
                torch.testing.assert_close(found[i], pose[i] + scale * block.out(mean))


@pytest.mark.parametrize("affinity", ["concatenation", "embedded-gaussian"])
def test_a_new_block_changes_nothing_yet_learns(affinity) -> None:
    torch.manual_seed(0)
    block, x = NonLocal(6, affinity), torch.randn(4, 5, 6)
    torch.testing.assert_close(block(x), x)
    block(x).square().sum().backward()
    assert block.norm.norm.weight.grad.abs().sum() > 0

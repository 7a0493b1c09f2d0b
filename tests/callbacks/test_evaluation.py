"""When evaluations take place, and what they leave in the tables."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffmem import rng
from diffmem.callbacks import Average, Evaluation, Losses, Memorization, PerClass, evaluation
from diffmem.callbacks.views import View
from diffmem.diffusion.guidance import Guidance
from diffmem.diffusion.sampling import DDIMSampler, DDPMSampler
from diffmem.files import read_table
from diffmem.models import DDPM
from diffmem.networks import ResidualMLP


@pytest.mark.parametrize("budget", [0.1, 0.25, 0.6])
def test_a_budget_is_kept(budget, monkeypatch):
    """On a clock on which a step takes 1 s and an evaluation 2 s, and every step is scheduled."""
    clock, done = [0.0], []
    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: clock[0])
    callback = Evaluation("every:1", budget=budget)
    monkeypatch.setattr(callback, "measure_views", lambda *_: clock.__setitem__(0, clock[0] + 2.0) or {"": {"step": 0}})
    images = torch.zeros(4, 1, 2, 2)
    data = SimpleNamespace(train_images=images, test_images=images, batch_size=4, to_unit=lambda images: images)
    trainer = SimpleNamespace(global_step=0, max_steps=300, callbacks=[], is_global_zero=False, datamodule=data,
                              default_root_dir="nowhere")  # fmt: skip
    module = SimpleNamespace(device=torch.device("cpu"))
    callback.setup(trainer, module, "fit")
    callback.on_train_start(trainer, module)
    for trainer.global_step in range(1, 301):
        clock[0] += 1.0
        before = callback.seconds
        callback.on_update(trainer, module)
        if callback.seconds > before and trainer.global_step < 300:
            done.append(callback.seconds / clock[0])
    assert done and max(done) <= budget
    assert callback.seconds / clock[0] == pytest.approx(budget, abs=0.02), "and used"
    assert trainer.global_step == 300 and callback.seconds > before, "the last step is always measured"


#: Another way of looking at the weights each, and what it draws with.
VIEWS = {
    "": (View(), DDIMSampler(5)),
    "average0.5": (View(weights=0.5), DDIMSampler(5)),
    "guidance2": (View(guidance=2.0), DDIMSampler(5)),
    "ddpm": (View(sampler="ddpm"), DDPMSampler(5)),
    "steps3": (View(sampling_steps=3), DDIMSampler(3)),
}


def small_model(shift):
    torch.manual_seed(0)
    model = DDPM(ResidualMLP(4, 16, 1, num_steps=20, num_classes=3), num_steps=20).eval()
    with torch.no_grad():
        for each in model.parameters():
            each.add_(shift * torch.randn(each.shape))
    return model


def test_the_table_of_each_view_holds_what_its_own_weights_guidance_and_sampler_give(tmp_path):
    early, model, average = small_model(0.0), small_model(0.3), Average([0.5])
    average.begin(early, fresh=True)
    train, test = torch.randn(6, 4), torch.randn(9, 4)
    data = SimpleNamespace(train_images=train, test_images=test, batch_size=6, train_labels=(torch.arange(6) + 1) % 3,
                           test_labels=torch.arange(9) % 3)  # fmt: skip
    trainer = SimpleNamespace(
        callbacks=[average, Memorization(0.9), Losses(num_draws=1, t=0.1), PerClass(0.9)], accumulate_grad_batches=2,
        strategy=SimpleNamespace(precision_plugin=SimpleNamespace(forward_context=torch.no_grad)), global_step=5,
        is_global_zero=True, default_root_dir=tmp_path, datamodule=data,
    )  # fmt: skip
    views = [view for view, _ in VIEWS.values()][1:]
    evaluation = Evaluation(num_samples=7, sampling_steps=5, views=views)
    evaluation.identity = {"n": 6, "setting": "a1"}
    evaluation.evaluate(trainer, model)
    noise, labels, losses = rng.normals(0, "sample", range(7), (4,)), torch.arange(7) % 3, set()
    for name, (view, sampler) in VIEWS.items():
        folder = tmp_path / "views" / name if name else tmp_path
        (row,) = read_table(folder / "evaluations.csv")
        seen = early if view.weights == 0.5 else model
        with torch.no_grad():
            samples = seen.sample(
                noise, sampler, lambda index: rng.normals(0, f"sample/{index}", range(7), (4,)), labels,
                Guidance(view.guidance),
            )  # fmt: skip
            index = torch.full((6,), seen.schedule.index_of(0.1))
            loss = seen.losses(train, rng.normals(0, "loss/train/0", range(6), (4,)), index, data.train_labels).mean()
        distances = np.sort(np.linalg.norm(samples.numpy()[:, None] - train.numpy(), axis=2), axis=1)
        copies = distances[:, 0] / distances[:, 1] < 0.9
        assert float(row["nn_train"]) == pytest.approx(distances[:, 0].mean(), rel=1e-4)
        assert float(row["f_mem"]) == pytest.approx(copies.mean())
        assert float(row["loss_train"]) == pytest.approx(loss.item(), rel=1e-5)
        assert (row["sampler"], row["weights"], float(row["guidance"])) == (
            sampler.name, str(view.weights), view.guidance,
        )  # fmt: skip
        assert (row["n"], row["setting"]) == ("6", f"a1-{name}" if name else "a1"), "views are no runs of one curve"
        per_class = [float(each["f_mem"]) for each in read_table(folder / "per_class.csv")]
        assert per_class == pytest.approx([copies[label::3].mean() for label in range(3)])
        time = {"step": "5", "images_seen": "60", "epochs": "10.0", "batch_size": "12", "num_test": "9"}
        assert {key: row[key] for key in time} == time
        losses.add((row["nn_train"], row["loss_train"]))
    assert len(losses) == len(VIEWS), "no two views look alike"
    assert len({loss for _, loss in losses}) == 2

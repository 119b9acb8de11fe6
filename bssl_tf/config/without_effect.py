"""Settings that were set but change nothing, given the others: they are named to the user, or refused."""

from dataclasses import fields

from bssl_tf.config.data import DataSettings
from bssl_tf.config.detection import DetectionConfig
from bssl_tf.config.training import Config
from bssl_tf.models.choices import TEACHERS


def data_without_effect(data: DataSettings) -> dict[str, str]:
    """Name → why, of settings that do nothing for this data set, set or not."""
    kind = data.dataset.partition(":")[0]
    found: dict[str, str] = {}
    if kind != "tfds":
        found |= dict.fromkeys(("train_split", "test_split", "data_dir"), "is for --dataset=tfds:NAME")
    if kind not in ("folder", "coco"):
        found["holdout"] = "is for --dataset=folder:PATH"
    return found


def without_effect(config: Config) -> dict[str, str]:
    """Name → why, of settings that are not the default and yet do nothing in this run."""
    found = data_without_effect(config.data)
    student, teacher = config.student, config.teacher
    if student.student != "reactnet_small":
        found |= _named("is for --student=reactnet_small", "student_width", "student_depth", "student_stages")
    if teacher.teacher != "resnet_small":
        found |= _named("is for --teacher=resnet_small", "teacher_width", "teacher_depth", "teacher_stages")
    if teacher.teacher in TEACHERS:
        found |= _named("is for a saved Keras model given as --teacher", "trust_teacher")
    if not config.trains_teacher:
        found |= _named("is for a teacher that is pretrained here", *vars(config.pretraining))
    if not config.views.local_crops:
        found |= _named("needs --local_crops", "local_crop_size", "local_crop_max")
    if not config.views.jitter_probability:
        found |= _named("needs --jitter_probability", "brightness", "contrast", "saturation", "hue")
    if not config.views.blur_probability:
        found |= _named("needs --blur_probability", "blur_sigma")
    if not config.cache.view_cycle:
        found |= _named("needs --view_cycle", "feature_cache")
    optimizers = [config.optimizer.optimizer] * config.trains_student
    optimizers += [config.pretraining.teacher_optimizer] * config.trains_teacher
    if not {"sgd", "lars"} & {*optimizers}:
        found |= _named("is for sgd and lars", "momentum")
    if config.distribution.distribution != "multi_worker":
        found |= _named("is for --distribution=multi_worker", "workers", "worker_index", "worker_timeout")
    for name, group in config.method_groups.items():
        if name != config.method.method:
            found |= _named(f"is for --method={name}", *vars(group))
    if config.method.method == "bssl":
        found |= _of_bssl(config)
    found |= _of_untrained(config)
    changed = _changed(config)
    return {name: why for name, why in found.items() if name in changed}


def detection_without_effect(config: DetectionConfig) -> dict[str, str]:
    """Name → why, of settings of `bssl-detect` that do nothing given the others, set or not."""
    training = config.training
    found = data_without_effect(config.data) | {"decoded_cache_mb": "is for bssl-train"}
    if config.data.dataset.partition(":")[0] != "coco":
        found["holdout"] = "is for --dataset=coco:…"
    elif training.test_dataset:
        found["holdout"] = "is for coco: data without --test_dataset"
    if training.optimizer not in ("sgd", "lars"):
        found["momentum"] = "is for sgd and lars"
    if training.finetune_layers != "layerwise":
        found["layerwise_lr_decay"] = "is for --finetune_layers=layerwise"
    if not config.run.export:
        found["input_type"] = "is for the file, which --noexport leaves out"
    return found


def _of_bssl(config: Config) -> dict[str, str]:
    bssl = config.bssl
    found: dict[str, str] = {}
    if bssl.target == "frozen":
        found |= _named("is for a target that is trained", "target_learning_rate_multiplier")
    if bssl.target != "balanced":
        found |= _named("is for --target=balanced", "target_temperature")
    if bssl.ablation == "joint":
        found |= _named("has no loss to act on with --ablation=joint", "similarity", "similarity_map")
    for name in ("balance_start", "balance_end"):
        if getattr(bssl, name) not in bssl.balance_ends:
            found |= _named(f"is not used with --balance={bssl.balance} and --target={bssl.target}", name)
    return found


def _of_untrained(config: Config) -> dict[str, str]:
    """Settings of the student where none is trained, and of the teacher where nobody learns from it."""
    found: dict[str, str] = {}
    if not (config.uses_teacher or config.trains_teacher):
        why = f"is for a method with a teacher, which --method={config.method.method} does not need"
        found |= _named(why, "feature_cache", "feature_cache_dir", *vars(config.teacher), *vars(config.pretraining))
    if not config.trains_student:
        groups = (config.student, config.method, *config.method_groups.values(), config.optimizer, config.cache)
        names = {name for group in groups for name in vars(group)} - {"momentum"}  # the teacher's, too
        found |= _named("is for the student, which --task=teacher leaves out", *sorted(names))
    return found


def _named(why: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, why)


def _changed(config: Config) -> set[str]:
    """Names of all settings that are not the default."""
    usual, changed = Config(), set()
    for group in fields(config):
        before = vars(getattr(usual, group.name))
        changed |= {name for name, value in vars(getattr(config, group.name)).items() if value != before[name]}
    return changed

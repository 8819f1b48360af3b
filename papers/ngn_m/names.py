"""Names of the paper for the library's optimisers."""

METHODS = {"ngn": "NGN", "ngn_m": "NGN-M", "momsps": "MomSPS", "momo": "MoMo", "alr_smag": "ALR-SMAG", "adam": "Adam"}
METHODS |= {"adamw": "AdamW", "momo_adam": "MoMo-Adam", "ngn_md": "NGN-MDv1", "ngn_md_v2": "NGN-MDv2", "lion": "Lion"}
METHODS |= {"ngn_d": "NGN-D", "ngn_mdw": "NGN-MDv1W", "adabelief": "AdaBelief", "adabound": "AdaBound"}
METHODS |= {"adagrad": "Adagrad", "rmsprop": "RMSprop"}
MOMENTUM = ("SGD", "SGDM", "NGN", "NGN-M", "MomSPS", "MoMo", "ALR-SMAG")  # the others have a diagonal

"""What a representation is good for: one file a protocol, all of one small form (`protocol.Protocol`).

    knn.py          plain and weighted nearest neighbours          any network, .tflite too
    linear.py       logistic regression on features                any network, .tflite too
    svm.py          linear SVM, full and low-shot                  any network, .tflite too
    linear_sgd.py   the paper's linear evaluation: SGD on crops    Keras networks
    finetune.py     training with few labels, from scratch too     binary Keras networks

Every protocol gets a `Task` (a network, its features, labelled images) and gives `Score`s. `feature_store.py` keeps
features on disk, `subsets.py` draws the labelled images, `results.py` keeps scores, `tables.py` and `plots.py` show
them. Modules are imported where they are needed: those without TensorFlow start at once.
"""

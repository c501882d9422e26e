"""tf.estimator, tf.feature_column and tf.contrib.learn: models behind train, evaluate, predict."""

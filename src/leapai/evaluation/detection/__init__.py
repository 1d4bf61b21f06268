"""Detection metrics: mAP, true-positive errors, precision and recall, failures of single frames."""

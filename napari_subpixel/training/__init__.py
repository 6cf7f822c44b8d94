"""Training: learn from samples, from scratch or to fine-tune a model.

request, plans                    what is to be trained, and its preparation
method_plans, fine_tuning_plans   its preparation for the papers' methods, and for models of many microscopes
settings, fine_tuning_settings    how to train, and how to fine-tune where nothing else is said; load no torch
train_model, trainer              from a plan to a model on disk; the training loop, resumable
held_out                          what is held out of a training, and the score of a model on it
imitation                         samples like a movie of the user's
simulated_samples, scenes         endless simulated samples, of one microscope or many
movie_samples                     crops of a movie with truth
heatmap_matching                  continuous heatmap matching (Eq. 4)
counting, counting_windows        Poisson-binomial counting (Eq. 5) and other sparsity terms; counting in windows
likelihood                        how likely the true molecules are under what a network predicts
heatmap_losses                    what networks that predict heatmaps minimise
objectives, methods               what training can minimise, and every method of the papers, by name
muon                              an optimiser for layers that are matrices
curves                            the curves of a training
"""

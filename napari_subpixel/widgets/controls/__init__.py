"""The parts that the widgets are composed of.

Forms and choices

- ``panel``: the base of every widget: forms, choices of layers, work that ends with the dock
- ``table_panel``: the base of those that analyse the localizations of a layer
- ``camera_form``: one camera, chosen or typed, remembered for the next session
- ``last_used``: the settings of a panel, remembered for the next session
- ``camera_choice``: one camera for many movies
- ``camera_list``: the cameras that can be chosen by name, for both
- ``model_form``: model, device and threshold
- ``part_of_movie``: frames and region of a run
- ``result_threshold``: the threshold of a movie's results
- ``training_form``: what to train, and what on
- ``training_source``: what a model learns from, as flags and files
- ``render_form``: what *Render* draws, and how
- ``evaluation_form``: what *Evaluate* scores, against what, and how
- ``batch_form``: the movies of *Batch*, their tables, and how to detect
- ``export_dialog``: what to export of a rendering
- ``choices``: a combo box that keeps the order of its entries
- ``number_box``: a box for a number, kept to the last bit until it is edited
- ``span_edit``: a range to type

What they show

- ``live_preview``: the preview of the frame in view
- ``progress``: a bar with rate, time left and *Cancel*
- ``table``: a read-only table to copy from
- ``movie_table``: the table of a batch
- ``scores``: the scores as rows of a table, and their files
- ``command_line``: a button that copies what a panel does as a line for a terminal
- ``settings_file``: buttons that save and open the settings of a panel
- ``step_button``: a step: a button to its panel, and how far it is
- ``histogram_bar``: a histogram of one quantity with two handles
- ``range_row``: the range of one quantity: two boxes and a histogram
- ``probability_bar``: a histogram of probabilities in the colours of the markers, with the threshold
- ``chart_view``: a plot, in colours of the theme
- ``training_curves``: the losses and scores of a training
- ``frame_pairs``: simulated frames next to the user's own
- ``picture_marks``: a scale bar and a bar of colours on a picture that is exported
- ``microscope_table``: what a run takes the microscope for, and a button that gives it to the movie
- ``run_cost``: how long a run will take
- ``run_report``: how a run goes, and how it ended
- ``refusals``: why something cannot be done, next to its button, with a button that cures it
- ``words``: lines of text, never wider than the panel, legible on every theme
- ``staleness``: a line that says what changed since the results were requested

Without a face of their own

- ``messages``: notifications
- ``advice``: what to do about an error, in controls of the widgets
- ``napari_task``: runs in napari's activity dock, and in its question before it closes
- ``plugin``: panels and keys of the manifest
- ``preferences``: the plugin's preferences, which napari keeps
- ``links``: connections with layers, which outlive a widget
- ``pixel_size``: the pixel size of a movie or of points, asked for where it is missed
- ``folders``: folders to choose or to type
- ``saving``: files to save to, asked for in dialogs
"""

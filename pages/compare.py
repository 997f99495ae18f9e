"""Compare: two trainings side by side on the same test users."""

from app import compared, comparing, loop, navigation, states, widgets

widgets.title("Compare", "Did it help? The same test users, ranked by two trainings, with the uncertainty of the difference.")
data = states.need_dataset()
chosen = comparing.choose(data.name)
if chosen is None:
    with states.empty(
        "Two finished trainings are needed", "Train once as the data are and once with frozen labels, then compare them here."
    ):
        pass
else:
    with states.caught():  # around both: they read the same files, and what is wrong with one is said once
        comparing.show(*chosen)
        compared.show(data, *chosen)
navigation.link("files", "Take the cleaned dataset away as a file", icon=":material/folder_zip:")
loop.show_next("compare", data)

"""The doors: a card of a neuron, a report of a run, as files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from pipeline.base.errors import ConfigError
from pipeline.base.outputs import new_file
from pipeline.base.storage import Store
from pipeline.report.card_html import render_card
from pipeline.report.card_png import draw_card
from pipeline.report.gather import gather_card
from pipeline.report.gather_report import gather_report
from pipeline.report.run_report_html import render_report
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, Neuron, find_neuron, find_run
from pipeline.warehouse.not_kept import tell_not_kept
from pipeline.warehouse.stale import tell_stale


def write_card(warehouse: str, named: NamedNeuron, out: Path) -> tuple[str, str]:
    """Write a neuron's card; the file's suffix says in which form. Returns two lines for a person.

    Args:
        warehouse: Folder or URL.
        named: The neuron.
        out: A ``.png`` or an ``.html``.

    Raises:
        ConfigError: The suffix is another one.
        WarehouseError: No such neuron, or a tar with its images is gone.
    """
    form = _form(out, ".png", ".html")
    with connect(warehouse) as connection:
        tell_stale(connection, ("neuron_labels", "top_examples", "neuron_concepts"))
        neuron = find_neuron(connection, *named)
        tell_not_kept(connection, ("neuron_labels",), neuron.dataset, neuron.run_id)
        card = gather_card(connection, Store(warehouse), neuron)
    if form == ".png":
        picture = draw_card(card)
        with new_file(out) as file:
            picture.save(file, "PNG", optimize=True)
    else:
        _write_page(render_card(card), out)
    told = (
        f"{card.label.concept} ({card.label.category})" if card.label.is_labelled else "unlabelled"
    )
    return f"{card.layer}  unit {card.unit}: {told}", f"Picture: {out}"


def write_report(
    warehouse: str, dataset: str | None, run: str | None, out: Path, with_cards: bool = False
) -> tuple[str, str]:
    """Write the page about a run. Returns two lines for a person.

    Args:
        warehouse: Folder or URL.
        dataset: Needed if several datasets have been run.
        run: Needed if the dataset has several runs.
        out: An ``.html``.
        with_cards: Write a card of each neuron that is shown with images, too, and link to it; they lie in
            the folder ``NAME-cards`` beside ``NAME.html``.

    Raises:
        ConfigError: The suffix is another one.
        WarehouseError: None or several runs match, or a tar with images is gone.
    """
    _form(out, ".html")
    with connect(warehouse) as connection:
        tell_stale(connection, ("neuron_labels", "neuron_facets", "label_baselines"))
        found = find_run(connection, dataset, run)
        tell_not_kept(connection, ("neuron_facets",), found.dataset, found.run_id)
        store = Store(warehouse)
        report = gather_report(connection, store, found.dataset, found.run_id)
        cards = {}
        for layer, unit in report.shown if with_cards else ():
            neuron = Neuron(report.dataset, report.run_id, layer, unit)
            name = f"{out.stem}-cards/{layer.replace(':', '_')}-{unit}.html"
            _write_page(render_card(gather_card(connection, store, neuron)), out.parent / name)
            cards[layer, unit] = quote(name)
    _write_page(render_report(report, cards), out)
    return (
        f"{report.dataset}, run {report.run_id}: {report.labelled_count} of "
        f"{report.neuron_count} neurons are labelled",
        f"Page: {out}",
    )


def _form(out: Path, *forms: str) -> str:
    suffix = out.suffix.lower()
    if suffix not in forms:
        raise ConfigError(
            f"{str(out)!r} has the suffix {suffix or 'none'!r}.", f"Expected {' or '.join(forms)}."
        )
    return suffix


def _write_page(page: str, out: Path) -> None:
    with new_file(out) as file:
        file.write_text(page, encoding="utf-8")

"""The nested options of a parse request, as the service's OpenAPI document and its newest SDK name them.

Unknown keys and wrong types are refused, as the document says; most options change nothing here.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.domain.documents import parse_page_ranges

__all__ = [
    "AgenticOptions",
    "CropBox",
    "FastOptions",
    "InputOptions",
    "Known",
    "Open",
    "OutputOptions",
    "PageRanges",
    "ProcessingControl",
    "ProcessingOptions",
]

_Flag = bool | None
_Text = str | None
_Ratio = Annotated[float, Field(ge=0, le=1)] | None
_Count = int | str | None
_Charts = Literal["agentic_plus", "agentic", "efficient"] | None


def _pages(value: str) -> str:
    parse_page_ranges(value)
    return value


class Known(BaseModel):
    """Known keys only, with exactly the JSON types that are documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Open(BaseModel):
    """Exactly the documented JSON types, and keys that nobody knows are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class PageRanges(Known):
    """Which pages; ``target_pages`` wins."""

    max_pages: Annotated[int, Field(ge=1)] | None = None
    target_pages: Annotated[str, AfterValidator(_pages)] | None = None


class CropBox(Known):
    """The part of each page that counts, as shares of its sides."""

    bottom: _Ratio = None
    left: _Ratio = None
    right: _Ratio = None
    top: _Ratio = None


class AgenticOptions(Known):
    """For the agentic tiers."""

    custom_prompt: _Text = None


class FastOptions(Known):
    """For the fast tier: there are none yet."""


class _Html(Known):
    make_all_elements_visible: _Flag = None
    remove_fixed_elements: _Flag = None
    remove_navigation_elements: _Flag = None


class _Spreadsheet(Known):
    detect_sub_tables_in_sheets: _Flag = None
    force_formula_computation_in_sheets: _Flag = None
    include_hidden_sheets: _Flag = None


class _Presentation(Known):
    include_hidden_slides: _Flag = None
    out_of_bounds_content: _Flag = None
    skip_embedded_data: _Flag = None


class _Image(Known):
    camera_photo_correction: _Flag = None


class InputOptions(Known):
    """By kind of document."""

    html: _Html = _Html()
    pdf: FastOptions = FastOptions()
    spreadsheet: _Spreadsheet = _Spreadsheet()
    presentation: _Presentation = _Presentation()
    image: _Image = _Image()


class _Tables(Known):
    compact_markdown_tables: _Flag = None
    output_tables_as_markdown: _Flag = None
    markdown_table_multiline_separator: _Text = None
    merge_continued_tables: _Flag = None


class _Markdown(Known):
    annotate_line_numbers: _Flag = None
    annotate_links: _Flag = None
    annotate_revisions: _Flag = None
    inline_images: _Flag = None
    tables: _Tables = _Tables()


class _SpatialText(Known):
    preserve_layout_alignment_across_pages: _Flag = None
    preserve_very_small_text: _Flag = None
    do_not_unroll_columns: _Flag = None


class _TablesAsSpreadsheet(Known):
    enable: _Flag = None
    guess_sheet_name: bool = True


class OutputOptions(Known):
    """What is made besides text and markdown."""

    markdown: _Markdown = _Markdown()
    spatial_text: _SpatialText = _SpatialText()
    tables_as_spreadsheet: _TablesAsSpreadsheet = _TablesAsSpreadsheet()
    extract_printed_page_number: _Flag = None
    images_to_save: list[Literal["screenshot", "embedded", "layout"]] | None = None
    additional_outputs: list[str] = Field(default_factory=list)
    granular_bboxes: list[Literal["cell", "line", "word"]] = Field(default_factory=list)
    save_output_pdf: _Flag = None
    watermark_handling: Literal["move_to_end", "move_to_start", "remove"] | None = None


class _Timeouts(Known):
    base_in_seconds: Annotated[int, Field(gt=0, le=7200)] | None = None
    extra_time_per_page_in_seconds: Annotated[int, Field(gt=0, le=300)] | None = None


class _FailureConditions(Known):
    allowed_page_failure_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    fail_on_image_extraction_error: _Flag = None
    fail_on_image_ocr_error: _Flag = None
    fail_on_markdown_reconstruction_error: _Flag = None
    fail_on_buggy_font: _Flag = None


class ProcessingControl(Known):
    """When a job is given up."""

    timeouts: _Timeouts = _Timeouts()
    job_failure_conditions: _FailureConditions = _FailureConditions()


class _Ignore(Known):
    ignore_diagonal_text: _Flag = None
    ignore_text_in_image: _Flag = None
    ignore_hidden_text: _Flag = None


class _Ocr(Known):
    languages: list[str] | None = None


class _CostOptimizer(Known):
    enable: _Flag = None


class _AutoIgnore(Known):
    ignore_diagonal_text: _Flag = None
    ignore_hidden_text: _Flag = None


class _AutoPresentation(Known):
    out_of_bounds_content: _Flag = None
    skip_embedded_data: _Flag = None


class _AutoParsing(Known):
    tier: Literal["fast", "cost_effective", "agentic", "agentic_plus"] | None = None
    version: _Text = None
    custom_prompt: _Text = None
    ignore: _AutoIgnore | None = None
    aggressive_table_extraction: _Flag = None
    outlined_table_extraction: _Flag = None
    adaptive_long_table: _Flag = None
    extract_layout: _Flag = None
    specialized_chart_parsing: _Charts = None
    high_res_ocr: _Flag = None
    language: _Text = None
    crop_box: CropBox | None = None
    spatial_text: _SpatialText | None = None
    presentation: _AutoPresentation | None = None


class _AutoMode(Known):
    parsing_conf: _AutoParsing
    trigger_mode: _Text = None
    page_md_error: _Flag = None
    text_in_page: _Text = None
    table_in_page: _Flag = None
    image_in_page: _Flag = None
    full_page_image_in_page: _Flag = None
    full_page_image_in_page_threshold: float | str | None = None
    filename_regexp: _Text = None
    filename_regexp_mode: _Text = None
    filename_match_glob: _Text = None
    filename_match_glob_list: list[str] | None = None
    page_longer_than_n_chars: _Count = None
    page_shorter_than_n_chars: _Count = None
    page_contains_at_least_n_words: _Count = None
    page_contains_at_most_n_words: _Count = None
    page_contains_at_least_n_lines: _Count = None
    page_contains_at_most_n_lines: _Count = None
    page_contains_at_least_n_images: _Count = None
    page_contains_at_most_n_images: _Count = None
    page_contains_at_least_n_tables: _Count = None
    page_contains_at_most_n_tables: _Count = None
    page_contains_at_least_n_links: _Count = None
    page_contains_at_most_n_links: _Count = None
    page_contains_at_least_n_charts: _Count = None
    page_contains_at_most_n_charts: _Count = None
    page_contains_at_least_n_layout_elements: _Count = None
    page_contains_at_most_n_layout_elements: _Count = None
    page_contains_at_least_n_percent_numbers: _Count = None
    page_contains_at_most_n_percent_numbers: _Count = None
    page_contains_at_least_n_numbers: _Count = None
    page_contains_at_most_n_numbers: _Count = None
    regexp_in_page: _Text = None
    regexp_in_page_mode: _Text = None
    layout_element_in_page: _Text = None
    layout_element_in_page_confidence_threshold: float | str | None = None


class ProcessingOptions(Known):
    """How pages are read."""

    ignore: _Ignore = _Ignore()
    ocr_parameters: _Ocr = _Ocr()
    aggressive_table_extraction: _Flag = None
    confidence_score_effort: Literal["high"] | None = None
    disable_heuristics: _Flag = None
    specialized_chart_parsing: _Charts = None
    cost_optimizer: _CostOptimizer | None = None
    auto_mode_configuration: list[_AutoMode] | None = None
    forms: Literal["default", "enrich"] | None = None

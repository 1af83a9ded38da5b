//! The plugin's own limits, each with its reason. SQLite's and the host's stand behind them.

/// Bytes of a name: PostgreSQL's limit, so that a schema can move between stores.
pub(crate) const MAX_NAME: usize = 63;
/// Tables of a schema: ten times what the host declares.
pub(crate) const MAX_TABLES: usize = 256;
/// Columns of a table: the host answers with at most 256, and the plugin adds one of its own; a row of this many is already
/// a design mistake.
pub(crate) const MAX_COLUMNS: usize = 200;
/// Indexes of a table: SQLite joins at most 64 tables and indexes in one plan.
pub(crate) const MAX_INDEXES: usize = 64;
/// Mutations of one batch: what the host takes as statements of one transaction. One of more would keep the one writer from
/// everyone else for too long.
pub(crate) const MAX_BATCH: usize = 4_096;
/// Comparisons of one filter: the host lets expressions be 500 deep, and alternatives nest one level each.
pub(crate) const MAX_COMPARISONS: usize = 256;
/// Values of one `one-of`: with the rest of a statement within SQLite's 32,766 parameters.
pub(crate) const MAX_ALTERNATIVES: usize = 4_096;
/// Parameters of one statement: SQLite's default.
pub(crate) const MAX_PARAMETERS: usize = 32_766;
/// Rows of one page and groups of one aggregation: what still crosses the boundary at once in a few megabytes.
pub(crate) const MAX_ROWS: u32 = 10_000;
/// Sort keys of one query: nobody sorts by more, and the cursor's condition grows with the square of it.
pub(crate) const MAX_ORDER: usize = 8;
/// Bytes of a cursor: it travels in a URL's query. Longer ones come from sorting by long texts.
pub(crate) const MAX_CURSOR: usize = 8_192;
/// Measures and groupings of one aggregation.
pub(crate) const MAX_MEASURES: usize = 64;

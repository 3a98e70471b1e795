//! `repr`.

/// `repr` of a list of strings.
pub(crate) fn str_list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|it| format!("'{it}'")).collect();
    format!("[{}]", items.join(", "))
}

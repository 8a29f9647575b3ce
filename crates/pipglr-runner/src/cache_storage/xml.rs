//! As much of XML as the answers of object stores need.

/// The text of an element without attributes.
pub(crate) fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let end = text[start..].find('<')?;
    Some(text[start..start + end].trim())
}

#[cfg(test)]
mod tests {
    use super::element;

    #[test]
    fn errors_of_object_stores_are_read() {
        let text =
            "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>\n<Message> Access Denied </Message></Error>";
        assert_eq!(element(text, "Code"), Some("AccessDenied"));
        assert_eq!(element(text, "Message"), Some("Access Denied"));
        assert_eq!(element(text, "Resource"), None);
        assert_eq!(element("<Code>cut", "Code"), None);
    }
}

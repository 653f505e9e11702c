//! Applications' own templates. Built-in templates are not stored.

use latchkey_domain::{AppId, EmailTemplate, Locale, TemplateName};

use crate::StorageError;

/// Looks messages up.
pub trait EmailTemplateReader {
    /// The message of this name and locale.
    fn find(
        &mut self,
        app_id: AppId,
        name: TemplateName,
        locale: Locale,
    ) -> Result<Option<EmailTemplate>, StorageError>;

    /// All messages of an application.
    fn list(&mut self, app_id: AppId) -> Result<Vec<EmailTemplate>, StorageError>;

    /// How many bytes of HTML an application's messages hold together.
    fn size(&mut self, app_id: AppId) -> Result<u64, StorageError>;
}

/// Changes messages.
pub trait EmailTemplateRepository: EmailTemplateReader {
    /// Adds or replaces a template.
    fn put(&mut self, template: &EmailTemplate) -> Result<(), StorageError>;

    /// Removes the messages in one locale.
    fn remove_locale(&mut self, app_id: AppId, locale: Locale) -> Result<(), StorageError>;
}

//! The kinds of problems with a manifest, in one table: each by its stable
//! name, what it means and what to do about it.

/// Declares the enum and what is known of each kind.
macro_rules! codes {
    ($($variant:ident = $name:literal, $what:literal, $mend:literal;)+) => {
        /// A kind of problem with a manifest. They are in the order of their
        /// names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ProblemCode {
            $(#[doc = $what] $variant),+
        }

        impl ProblemCode {
            /// All of them, in the order of their names.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The stable name for machines, such as `duplicate_email`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// What is so, in a few words.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => $what),+
                }
            }

            /// What to do about it, and why it matters where that is not plain.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$variant => $mend),+
                }
            }
        }
    };
}

codes! {
    AliasBomb = "alias_bomb",
        "Aliases expand to more than a manifest can hold",
        "Write out the values.";
    AvatarBroken = "avatar_broken",
        "A picture cannot be read as the format it has",
        "Save the picture again, or use another.";
    AvatarDimensions = "avatar_dimensions",
        "A picture is too wide, too high, or has no size",
        "Scale it to at most 4096 pixels a side.";
    AvatarEmpty = "avatar_empty",
        "A picture's file is empty",
        "Put the picture in place, or leave the field out.";
    AvatarExtension = "avatar_extension",
        "A picture's extension does not match its content",
        "Use the extension of the actual format: Whop derives the type from the name.";
    AvatarLink = "avatar_link",
        "A picture is a symbolic link, or is below one",
        "Put the picture itself there. Links below the manifest's folder are not followed, since a pull request could add one.";
    AvatarMetadata = "avatar_metadata",
        "A picture carries data about people, such as where it was taken",
        "Set `strip_metadata: true`, or remove the data from the file.";
    AvatarMissing = "avatar_missing",
        "A picture does not exist",
        "Paths are relative to the manifest's own folder; upper and lower case differ.";
    AvatarNotFile = "avatar_not_file",
        "A picture's path is not a regular file",
        "Name a file; folders, pipes and devices are not read.";
    AvatarNotImage = "avatar_not_image",
        "A picture's file is not PNG, JPEG, GIF or WebP",
        "Save it as one of these. SVG is not accepted, because it can contain scripts.";
    AvatarNotStripped = "avatar_not_stripped",
        "The data about people in a picture could not be removed",
        "Remove it with a picture editor, or use another picture.";
    AvatarOutside = "avatar_outside",
        "A picture's path leads out of the manifest's folder",
        "Keep pictures below the folder of the manifest. Files outside it are never read, so that no manifest can publish them.";
    AvatarTooLarge = "avatar_too_large",
        "A picture's file is too large",
        "Make it smaller than 5 MB.";
    AvatarTruncated = "avatar_truncated",
        "A picture's file ends too early",
        "Copy the file again.";
    AvatarUnreadable = "avatar_unreadable",
        "A picture could not be read",
        "Check the file's permissions and its name.";
    BadAvatarPath = "bad_avatar_path",
        "A picture's path cannot be used",
        "Write it relative to the manifest, with `/` between folders and one of the extensions png, jpg, jpeg, gif and webp.";
    BadCompany = "bad_company",
        "The company is not an account id",
        "Write the id of the platform's own account, `biz_…`.";
    BadEmail = "bad_email",
        "An email address is invalid",
        "Write it as name@domain.tld.";
    BadGuardrail = "bad_guardrail",
        "A limit is neither a number nor a percentage",
        "Write a number of users, such as 20, or a percentage, such as 30%.";
    BadId = "bad_id",
        "An id cannot be used",
        "Write 1 to 255 characters without `%`, control characters or surrounding blanks.";
    BadKey = "bad_key",
        "A field's name is a list or a mapping",
        "Write a plain name.";
    BadMetadata = "bad_metadata",
        "A metadata key or value cannot be used",
        "Write keys of 1 to 100 characters and single values, without control characters.";
    BadName = "bad_name",
        "A name cannot be shown",
        "Write 1 to 100 characters on one line, without surrounding blanks.";
    BadRenamedFrom = "bad_renamed_from",
        "A former id is invalid",
        "Write the id that this user had before.";
    BadStripMetadata = "bad_strip_metadata",
        "The switch `strip_metadata` is neither true nor false",
        "`true` removes metadata such as location from pictures; `false` keeps it.";
    BadTitle = "bad_title",
        "A title cannot be used",
        "Write 1 to 255 characters on one line, without surrounding blanks.";
    BadVersion = "bad_version",
        "The manifest's version is unknown",
        "Write `version: 1`.";
    BadYaml = "bad_yaml",
        "The text is not YAML",
        "Correct it at the position shown.";
    CompanyDiffers = "company_differs",
        "Two files of one manifest name different companies",
        "A manifest belongs to one company: correct it, or run each company separately.";
    CompanyTwice = "company_twice",
        "The company is given twice",
        "Keep one of the two, preferably `company`.";
    DuplicateEmail = "duplicate_email",
        "Two users have the same email address",
        "Give each an address of its own: accounts with the same address belong to one person, who has only one profile.";
    DuplicateId = "duplicate_id",
        "Two users have the same id",
        "Remove one of the two, or give it an id of its own.";
    DuplicateRename = "duplicate_rename",
        "Two users have the same former id",
        "Only one user can have had an id before.";
    EmptyManifest = "empty_manifest",
        "The manifest is empty",
        "`whop-sync init` writes one to start from.";
    EmptyUser = "empty_user",
        "A user's entry is empty",
        "Fill it in, or remove the dash.";
    EmptyUsers = "empty_users",
        "The list of users is empty",
        "Add users below it, or write `users: []` if there are none.";
    EmptyValue = "empty_value",
        "A value is empty",
        "Write it, or leave the field out.";
    GuardrailDiffers = "guardrail_differs",
        "Two files of one manifest set a limit differently",
        "A manifest has one limit of each kind: keep one of them.";
    HiddenText = "hidden_text",
        "A line continues where a reviewer does not see it",
        "Remove the blanks, or put the rest on its own line.";
    MergeKey = "merge_key",
        "A merge key (`<<`) is used",
        "Write out the fields.";
    MetadataTooLarge = "metadata_too_large",
        "A user's metadata is too large",
        "Keep ids and labels in metadata, and the rest in your own database.";
    MissingField = "missing_field",
        "A required field is missing",
        "Add it: every user needs id, email and name.";
    More = "more",
        "There are more problems than are listed",
        "Fix the listed ones first.";
    NotUtf8 = "not_utf8",
        "The text is not UTF-8",
        "Save it again with the encoding UTF-8.";
    OddCharacter = "odd_character",
        "The text contains a character that hides or disguises text",
        "Remove it, or write it as an escape within double quotes.";
    RenameOfPresent = "rename_of_present",
        "A former id still belongs to a user of the manifest",
        "Remove the user with the former id, or the `renamed_from`.";
    RepeatedField = "repeated_field",
        "A field is given twice",
        "Keep one of the two.";
    ReservedEmail = "reserved_email",
        "An email address is at a domain reserved for examples",
        "The emulator accepts it; Whop may refuse it, since no mail can arrive.";
    ReservedMetadata = "reserved_metadata",
        "A metadata key is one that whop-sync sets itself",
        "Remove it: it is derived from the user's id.";
    SeveralDocuments = "several_documents",
        "The file has several YAML documents",
        "Keep one, or put each into a file of its own.";
    StripMetadataDiffers = "strip_metadata_differs",
        "Two files of one manifest set `strip_metadata` differently",
        "Keep one of them; a user may override it for their own picture.";
    TooDeep = "too_deep",
        "The text is nested too deeply",
        "A manifest needs four levels.";
    TooManyDirectives = "too_many_directives",
        "The text has too many YAML directives",
        "Remove the lines that begin with `%`.";
    UnknownField = "unknown_field",
        "There is no field with this name",
        "Correct the name, or put your own fields below `metadata`.";
    UnknownTag = "unknown_tag",
        "A value has a tag that is not supported",
        "Write the value itself, in quotes if it begins with `!`.";
    WrongType = "wrong_type",
        "A value has the wrong type for its field",
        "Write it as the schema requires.";
}

impl ProblemCode {
    /// Whether it is about a picture's file, not about the manifest's text.
    pub fn is_about_picture(self) -> bool {
        self.name().contains("avatar")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_sorted_by_name_and_say_something() {
        assert!(ProblemCode::ALL.is_sorted_by(|a, b| a.name() < b.name()));
        for (index, code) in ProblemCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index);
            assert!(
                !code.what().ends_with('.') && code.remedy().ends_with('.'),
                "{code:?}"
            );
        }
    }
}

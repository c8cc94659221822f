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
        "Write the values out.";
    AvatarBroken = "avatar_broken",
        "A picture cannot be read as the format it has",
        "Save the picture again, or take another.";
    AvatarDimensions = "avatar_dimensions",
        "A picture is too wide, too high, or has no size",
        "Scale it to at most 4096 pixels a side.";
    AvatarEmpty = "avatar_empty",
        "A picture's file is empty",
        "Put the picture in place, or leave the field out.";
    AvatarExtension = "avatar_extension",
        "A picture's name says another format than its content",
        "Name the file by what it is: Whop takes the type from the name.";
    AvatarLink = "avatar_link",
        "A picture is a symbolic link, or lies below one",
        "Put the picture itself there. No link is followed from the manifest's folder on, since a pull request could plant one.";
    AvatarMetadata = "avatar_metadata",
        "A picture carries data about people, such as where it was taken",
        "Set `strip_metadata: true`, or remove the data from the file.";
    AvatarMissing = "avatar_missing",
        "A picture does not exist",
        "Paths are relative to the manifest's own folder; upper and lower case differ.";
    AvatarNotFile = "avatar_not_file",
        "A picture's path leads to no regular file",
        "Name a file; folders, pipes and devices are not read.";
    AvatarNotImage = "avatar_not_image",
        "A picture's file is no PNG, JPEG, GIF or WebP",
        "Save it as one of these. SVG is not taken: it is a program.";
    AvatarNotStripped = "avatar_not_stripped",
        "The data about people in a picture could not be removed",
        "Remove it with a picture editor, or take another picture.";
    AvatarOutside = "avatar_outside",
        "A picture's path leads out of the manifest's folder",
        "Keep pictures below the folder of the manifest. What lies outside is never read, so that no manifest can publish it.";
    AvatarTooLarge = "avatar_too_large",
        "A picture's file is too large",
        "Make it smaller than 5 MB.";
    AvatarTruncated = "avatar_truncated",
        "A picture's file ends too early",
        "Copy the file again.";
    AvatarUnreadable = "avatar_unreadable",
        "A picture could not be read",
        "Look at the file's permissions and its name.";
    BadAvatarPath = "bad_avatar_path",
        "A picture's path cannot be used",
        "Write it relative to the manifest, with `/` between folders and one of the extensions png, jpg, jpeg, gif and webp.";
    BadCompany = "bad_company",
        "The company is no id of an account",
        "Write the platform's own account, `biz_…`.";
    BadEmail = "bad_email",
        "An email address is none",
        "Write it as name@domain.tld.";
    BadGuardrail = "bad_guardrail",
        "A limit is neither a number nor a percentage",
        "Write a number of users, such as 20, or a percentage, such as 30%.";
    BadId = "bad_id",
        "An id cannot be used",
        "Write 1 to 255 characters without `%`, control characters or blanks around.";
    BadKey = "bad_key",
        "A field's name is a list or a mapping",
        "Write a plain name.";
    BadMetadata = "bad_metadata",
        "A metadata key or value cannot be used",
        "Write keys of 1 to 100 characters and single values, without control characters.";
    BadName = "bad_name",
        "A name cannot be shown",
        "Write 1 to 100 characters on one line, without blanks around.";
    BadRenamedFrom = "bad_renamed_from",
        "A former id cannot be one",
        "Write the id that this user had before.";
    BadStripMetadata = "bad_strip_metadata",
        "The switch `strip_metadata` is neither true nor false",
        "Write `true` to take away what pictures say beside their pixels, or `false`.";
    BadTitle = "bad_title",
        "A title cannot be used",
        "Write 1 to 255 characters on one line, without blanks around.";
    BadVersion = "bad_version",
        "The manifest's version is unknown",
        "Write `version: 1`.";
    BadYaml = "bad_yaml",
        "The text is not YAML",
        "Correct it at the place shown.";
    CompanyDiffers = "company_differs",
        "Two files of one manifest name different companies",
        "One manifest is one company's: correct it, or run each company on its own.";
    CompanyTwice = "company_twice",
        "The company is given twice",
        "Keep one of the two, best `company`.";
    DuplicateEmail = "duplicate_email",
        "Two users have the same email address",
        "Give each an address of its own: accounts of one address share one person, who has one profile.";
    DuplicateId = "duplicate_id",
        "Two users have the same id",
        "Remove one of the two, or give it an id of its own.";
    DuplicateRename = "duplicate_rename",
        "Two users have the same former id",
        "Only one user can have been the other before.";
    EmptyManifest = "empty_manifest",
        "The manifest is empty",
        "`whop-sync init` writes one to begin with.";
    EmptyUser = "empty_user",
        "A user's entry is empty",
        "Fill it in, or remove the dash.";
    EmptyUsers = "empty_users",
        "The list of users is empty",
        "Write users below it, or `users: []` where there are none.";
    EmptyValue = "empty_value",
        "A value is empty",
        "Write it, or leave the field out.";
    GuardrailDiffers = "guardrail_differs",
        "Two files of one manifest set a limit differently",
        "One manifest has one limit of each kind: keep one of them.";
    HiddenText = "hidden_text",
        "A line goes on where a reviewer does not see it",
        "Remove the blanks, or put what follows on a line of its own.";
    MergeKey = "merge_key",
        "A merge key (`<<`) is used",
        "Write the fields out.";
    MetadataTooLarge = "metadata_too_large",
        "A user's metadata is too large",
        "Keep ids and labels in metadata, and the rest in your own database.";
    MissingField = "missing_field",
        "A required field is missing",
        "Add it: every user needs id, email and name.";
    More = "more",
        "There are more problems than are listed",
        "Mend those that are listed first.";
    NotUtf8 = "not_utf8",
        "The text is not UTF-8",
        "Save it again with the encoding UTF-8.";
    OddCharacter = "odd_character",
        "The text contains a character that hides what is read",
        "Remove it, or write it as an escape within double quotes.";
    RenameOfPresent = "rename_of_present",
        "A former id still belongs to a user of the manifest",
        "Remove the user with the former id, or the `renamed_from`.";
    RepeatedField = "repeated_field",
        "A field is given twice",
        "Keep one of the two.";
    ReservedEmail = "reserved_email",
        "An email address is at a domain reserved for examples",
        "The emulator takes it; Whop may refuse it, since no mail can arrive.";
    ReservedMetadata = "reserved_metadata",
        "A metadata key is one that whop-sync sets itself",
        "Remove it: it is made from the user's id.";
    SeveralDocuments = "several_documents",
        "The file has several YAML documents",
        "Keep one, or put each into a file of its own.";
    StripMetadataDiffers = "strip_metadata_differs",
        "Two files of one manifest set `strip_metadata` differently",
        "One manifest says it once; a user may say otherwise for their own picture.";
    TooDeep = "too_deep",
        "The text is nested too deeply",
        "A manifest needs four levels.";
    TooManyDirectives = "too_many_directives",
        "The text has too many YAML directives",
        "Remove the lines that begin with `%`.";
    UnknownField = "unknown_field",
        "There is no field of this name",
        "Correct the name, or put what is your own below `metadata`.";
    UnknownTag = "unknown_tag",
        "A value carries a tag that means nothing here",
        "Write the value itself, in quotes if it begins with `!`.";
    WrongType = "wrong_type",
        "A value is of another kind than its field",
        "Write it as the schema has it.";
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

//! The kinds of problems that a manifest can have, by their stable codes: what
//! each means and what to do. Code scanning shows this with every finding.

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// [`Problem::code`](crate::core::problem::Problem::code).
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub what: &'static str,
    /// How to fix it, and why it matters if that is not obvious.
    pub mend: &'static str,
}

const fn rule(code: &'static str, what: &'static str, mend: &'static str) -> Rule {
    Rule { code, what, mend }
}

/// All kinds, sorted by code. A house test compares the list with the source.
pub const RULES: &[Rule] = &[
    rule(
        "alias_bomb",
        "Aliases expand to more than a manifest can hold",
        "Write out the values.",
    ),
    rule(
        "avatar_broken",
        "A picture cannot be read as the format it has",
        "Save the picture again, or use another.",
    ),
    rule(
        "avatar_dimensions",
        "A picture is too wide, too high, or has no size",
        "Scale it to at most 4096 pixels a side.",
    ),
    rule(
        "avatar_empty",
        "A picture's file is empty",
        "Put the picture in place, or leave the field out.",
    ),
    rule(
        "avatar_extension",
        "A picture's extension does not match its content",
        "Use the extension of the actual format: Whop derives the type from the name.",
    ),
    rule(
        "avatar_link",
        "A picture is a symbolic link, or is below one",
        "Put the picture itself there. Links below the manifest's folder are not followed, since a pull request could add one.",
    ),
    rule(
        "avatar_metadata",
        "A picture carries data about people, such as where it was taken",
        "Set `strip_metadata: true`, or remove the data from the file.",
    ),
    rule(
        "avatar_missing",
        "A picture does not exist",
        "Paths are relative to the manifest's own folder; upper and lower case differ.",
    ),
    rule(
        "avatar_not_file",
        "A picture's path is not a regular file",
        "Name a file; folders, pipes and devices are not read.",
    ),
    rule(
        "avatar_not_image",
        "A picture's file is not PNG, JPEG, GIF or WebP",
        "Save it as one of these. SVG is not accepted, because it can contain scripts.",
    ),
    rule(
        "avatar_not_stripped",
        "The data about people in a picture could not be removed",
        "Remove it with a picture editor, or use another picture.",
    ),
    rule(
        "avatar_outside",
        "A picture's path leads out of the manifest's folder",
        "Keep pictures below the folder of the manifest. Files outside it are never read, so that no manifest can publish them.",
    ),
    rule(
        "avatar_too_large",
        "A picture's file is too large",
        "Make it smaller than 5 MB.",
    ),
    rule(
        "avatar_truncated",
        "A picture's file ends too early",
        "Copy the file again.",
    ),
    rule(
        "avatar_unreadable",
        "A picture could not be read",
        "Check the file's permissions and its name.",
    ),
    rule(
        "bad_avatar_path",
        "A picture's path cannot be used",
        "Write it relative to the manifest, with `/` between folders and one of the extensions png, jpg, jpeg, gif and webp.",
    ),
    rule(
        "bad_company",
        "The company is not an account id",
        "Write the id of the platform's own account, `biz_…`.",
    ),
    rule(
        "bad_email",
        "An email address is invalid",
        "Write it as name@domain.tld.",
    ),
    rule(
        "bad_guardrail",
        "A limit is neither a number nor a percentage",
        "Write a number of users, such as 20, or a percentage, such as 30%.",
    ),
    rule(
        "bad_id",
        "An id cannot be used",
        "Write 1 to 255 characters without `%`, control characters or surrounding blanks.",
    ),
    rule(
        "bad_key",
        "A field's name is a list or a mapping",
        "Write a plain name.",
    ),
    rule(
        "bad_metadata",
        "A metadata key or value cannot be used",
        "Write keys of 1 to 100 characters and single values, without control characters.",
    ),
    rule(
        "bad_name",
        "A name cannot be shown",
        "Write 1 to 100 characters on one line, without surrounding blanks.",
    ),
    rule(
        "bad_renamed_from",
        "A former id is invalid",
        "Write the id that this user had before.",
    ),
    rule(
        "bad_strip_metadata",
        "The switch `strip_metadata` is neither true nor false",
        "`true` removes metadata such as location from pictures; `false` keeps it.",
    ),
    rule(
        "bad_title",
        "A title cannot be used",
        "Write 1 to 255 characters on one line, without surrounding blanks.",
    ),
    rule(
        "bad_version",
        "The manifest's version is unknown",
        "Write `version: 1`.",
    ),
    rule(
        "bad_yaml",
        "The text is not YAML",
        "Correct it at the position shown.",
    ),
    rule(
        "company_differs",
        "Two files of one manifest name different companies",
        "A manifest belongs to one company: correct it, or run each company separately.",
    ),
    rule(
        "company_twice",
        "The company is given twice",
        "Keep one of the two, preferably `company`.",
    ),
    rule(
        "duplicate_email",
        "Two users have the same email address",
        "Give each an address of its own: accounts with the same address belong to one person, who has only one profile.",
    ),
    rule(
        "duplicate_id",
        "Two users have the same id",
        "Remove one of the two, or give it an id of its own.",
    ),
    rule(
        "duplicate_rename",
        "Two users have the same former id",
        "Only one user can have had an id before.",
    ),
    rule(
        "empty_manifest",
        "The manifest is empty",
        "`whop-sync init` writes one to start from.",
    ),
    rule(
        "empty_user",
        "A user's entry is empty",
        "Fill it in, or remove the dash.",
    ),
    rule(
        "empty_users",
        "The list of users is empty",
        "Add users below it, or write `users: []` if there are none.",
    ),
    rule(
        "empty_value",
        "A value is empty",
        "Write it, or leave the field out.",
    ),
    rule(
        "guardrail_differs",
        "Two files of one manifest set a limit differently",
        "A manifest has one limit of each kind: keep one of them.",
    ),
    rule(
        "hidden_text",
        "A line continues where a reviewer does not see it",
        "Remove the blanks, or put the rest on its own line.",
    ),
    rule("merge_key", "A merge key (`<<`) is used", "Write out the fields."),
    rule(
        "metadata_too_large",
        "A user's metadata is too large",
        "Keep ids and labels in metadata, and the rest in your own database.",
    ),
    rule(
        "missing_field",
        "A required field is missing",
        "Add it: every user needs id, email and name.",
    ),
    rule(
        "more",
        "There are more problems than are listed",
        "Fix the listed ones first.",
    ),
    rule(
        "not_utf8",
        "The text is not UTF-8",
        "Save it again with the encoding UTF-8.",
    ),
    rule(
        "odd_character",
        "The text contains a character that hides or disguises text",
        "Remove it, or write it as an escape within double quotes.",
    ),
    rule(
        "rename_of_present",
        "A former id still belongs to a user of the manifest",
        "Remove the user with the former id, or the `renamed_from`.",
    ),
    rule("repeated_field", "A field is given twice", "Keep one of the two."),
    rule(
        "reserved_email",
        "An email address is at a domain reserved for examples",
        "The emulator accepts it; Whop may refuse it, since no mail can arrive.",
    ),
    rule(
        "reserved_metadata",
        "A metadata key is one that whop-sync sets itself",
        "Remove it: it is derived from the user's id.",
    ),
    rule(
        "several_documents",
        "The file has several YAML documents",
        "Keep one, or put each into a file of its own.",
    ),
    rule(
        "strip_metadata_differs",
        "Two files of one manifest set `strip_metadata` differently",
        "Keep one of them; a user may override it for their own picture.",
    ),
    rule(
        "too_deep",
        "The text is nested too deeply",
        "A manifest needs four levels.",
    ),
    rule(
        "too_many_directives",
        "The text has too many YAML directives",
        "Remove the lines that begin with `%`.",
    ),
    rule(
        "unknown_field",
        "There is no field with this name",
        "Correct the name, or put your own fields below `metadata`.",
    ),
    rule(
        "unknown_tag",
        "A value has a tag that is not supported",
        "Write the value itself, in quotes if it begins with `!`.",
    ),
    rule(
        "wrong_type",
        "A value has the wrong type for its field",
        "Write it as the schema requires.",
    ),
];

/// The index of a kind in [`RULES`].
pub(super) fn index(code: &str) -> Option<usize> {
    RULES.binary_search_by(|rule| rule.code.cmp(code)).ok()
}

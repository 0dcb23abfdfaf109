//! The `console` blocks of README.md are run, and have to print what the README shows.

#[test]
fn the_readme_shows_what_the_program_prints() {
    trycmd::TestCases::new().case("README.md");
}

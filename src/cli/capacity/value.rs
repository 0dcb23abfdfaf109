//! `capacity --along PATH=LOW..HIGH`: between which two values something stops to hold.

use super::super::exit_code::Failure;
use super::super::output::Console;
use super::{Stopped, Surveyor, asked, bottleneck};
use crate::experiment::along::ValueRange;
use crate::experiment::bracket::{Bracket, Stand, between};
use crate::experiment::capacity::{Point, Survey, stand};
use crate::manifest::Edit;
use crate::observe::Record;
use crate::units::origin::Flag;

impl Surveyor<'_> {
    /// Fills in points, the bracket, and what gives way where it breaks.
    pub(super) fn search_value(
        &mut self,
        range: &ValueRange,
        survey: &mut Survey,
    ) -> Result<(), Failure> {
        let precision = f64::from(self.args.precision) / 100.0;
        let mut last: Option<Record> = None;
        let mut broken: Vec<(f64, Vec<String>)> = Vec::new();
        let found = between(
            (range.low, range.high),
            precision,
            |value| range.rounded(value),
            |value| {
                let (record, why) = self.at_value(range, value)?;
                let mut point = Point::new(value, &record);
                point.value = Some(range.text(value));
                let stand = point.stand;
                survey.points.push(point);
                if stand == Stand::Breaks {
                    broken.push((value, why));
                }
                last = Some(record);
                Ok(stand)
            },
        )
        .or_else(|stopped| match stopped {
            Stopped::Interrupted => Ok((Bracket::default(), false)),
            Stopped::Failed(failure) => Err(failure),
        })?;
        (survey.bracket, survey.changes_again) = found;
        let at = survey.bracket.breaks;
        let why = broken.into_iter().find(|(value, _)| Some(*value) == at);
        survey.bottleneck = why.map_or_else(Vec::new, |(_, why)| why);
        if let Some(record) = last {
            survey.assumed = record.assumed;
            survey.warnings = record.warnings;
        }
        Ok(())
    }

    /// The record with one value in place, and what gives way in it where it breaks.
    fn at_value(
        &mut self,
        range: &ValueRange,
        value: f64,
    ) -> Result<(Record, Vec<String>), Stopped> {
        let text = range.text(value);
        let edit = Edit::new(&range.path, &text)
            .map_err(|why| Stopped::Failed(Failure::Usage(why)))?
            .by(Flag::Along, 1);
        let mesh = (self.gathered.mesh(&[edit], Console::SILENT)).map_err(Stopped::Failed)?;
        let (scenario, _) = asked(self.args, &mesh).map_err(Stopped::Failed)?;
        let record = self.decided(&mesh, &scenario, &format!("{}={text}", range.path))?;
        let why = match stand(&record) {
            Stand::Breaks => bottleneck(&mesh, &record),
            Stand::Holds | Stand::Unclear => Vec::new(),
        };
        Ok((record, why))
    }
}

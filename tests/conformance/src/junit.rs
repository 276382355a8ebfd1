//! The report as JUnit XML: the form of "JUnit XML" that continuous integration tools agree on (testsuites, testsuite,
//! properties, testcase with failure, error or skipped).

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::report::{Entry, Report, Ruling, Verdict};

pub(crate) fn write(report: &Report) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing into memory cannot fail.
    let _ = write_into(&mut writer, report);
    String::from_utf8_lossy(&writer.into_inner()).into_owned()
}

fn write_into(writer: &mut Writer<Vec<u8>>, report: &Report) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let is_skipped =
        |ruling: &_| matches!(ruling, Ruling::NotApplicable(_) | Ruling::NotCovered(_));
    let failures = report.failures().count().to_string();
    let skipped = report.count(is_skipped).to_string();
    // Readers take what is skipped for good. That something is missing has to be an error of its own.
    let is_incomplete = report.verdict == Verdict::Incomplete;
    let errors = usize::from(is_incomplete);
    let tests = (report.checks.len() + errors).to_string();
    let errors = errors.to_string();
    let time = seconds(report.checks.iter().map(|entry| entry.milliseconds).sum());
    writer
        .create_element("testsuites")
        .write_inner_content(|writer| {
            writer
                .create_element("testsuite")
                .with_attributes([
                    ("name", report.plugin.as_str()),
                    ("tests", &tests),
                    ("failures", &failures),
                    ("errors", &errors),
                    ("skipped", &skipped),
                    ("time", &time),
                ])
                .write_inner_content(|writer| {
                    write_properties(writer, report)?;
                    for entry in &report.checks {
                        write_entry(writer, report, entry)?;
                    }
                    match is_incomplete {
                        true => write_incomplete(writer, report),
                        false => Ok(()),
                    }
                })
                .map(drop)
        })
        .map(drop)
}

fn write_properties(writer: &mut Writer<Vec<u8>>, report: &Report) -> io::Result<()> {
    let verdict = report.verdict.to_string();
    let others = report.other_strategies.join(", ");
    let properties = [
        ("verdict", verdict.as_str()),
        ("sha256", &report.sha256),
        ("strategy", &report.strategy),
        ("other_strategies", &others),
    ];
    let properties = properties.into_iter();
    writer
        .create_element("properties")
        .write_inner_content(|writer| {
            for (name, value) in properties {
                let property = writer.create_element("property");
                let property = property.with_attributes([("name", name), ("value", value)]);
                property.write_empty()?;
            }
            Ok(())
        })
        .map(drop)
}

fn write_incomplete(writer: &mut Writer<Vec<u8>>, report: &Report) -> io::Result<()> {
    let open = report.count(|ruling| matches!(ruling, Ruling::NotCovered(_)));
    let message = format!("{open} checks are open; it is not known to be fit");
    let class = format!("{}.verdict", report.plugin);
    writer
        .create_element("testcase")
        .with_attributes([
            ("name", "every check that applies is made"),
            ("classname", &class),
        ])
        .write_inner_content(|writer| {
            let error = writer.create_element("error");
            let error = error.with_attribute(("message", message.as_str()));
            error.write_empty().map(drop)
        })
        .map(drop)
}

fn write_entry(writer: &mut Writer<Vec<u8>>, report: &Report, entry: &Entry) -> io::Result<()> {
    let name = format!("{:02} {}", entry.number, entry.title);
    let class = format!("{}.{}", report.plugin, entry.id);
    let time = seconds(entry.milliseconds);
    let case = writer.create_element("testcase").with_attributes([
        ("name", name.as_str()),
        ("classname", &class),
        ("time", &time),
    ]);
    let skipped = |why: &str| (("skipped", why.to_owned()), None);
    let (inner, text) = match &entry.ruling {
        Ruling::Passed => return case.write_empty().map(drop),
        Ruling::Failed(why) => (("failure", why.clone()), entry.fix),
        Ruling::NotApplicable(why) => skipped(why),
        Ruling::NotCovered(why) => skipped(&format!("not covered: {why}")),
    };
    let (element, message) = inner;
    case.write_inner_content(|writer| {
        let element = writer
            .create_element(element)
            .with_attribute(("message", message.as_str()));
        match text {
            Some(text) => element.write_text_content(BytesText::new(text)).map(drop),
            None => element.write_empty().map(drop),
        }
    })
    .map(drop)
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

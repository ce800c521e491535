//! The recorder of a run's log: TensorBoard events and a CSV file, written by a thread of its own.
//!
//! Training hands rows to a bounded queue and goes on. A full disk or a missing folder never disturbs
//! training: the recorder keeps the files readable, reports the failure once, and tries again with the next
//! row.

mod append;
mod csv;
mod entry;
mod tensorboard;

use std::io;
use std::path::Path;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

pub use csv::read as read_csv;
pub use entry::{HyperParameter, Note, Position, Row};
pub(crate) use tensorboard::PREFIX as EVENTS;

use csv::CsvSink;
use tensorboard::TensorBoardSink;

/// Rows that wait for the disk before training does.
const QUEUE: usize = 1_024;

enum Message {
    Row(Row),
    Note(Note),
    Flush(Sender<(Position, Option<String>)>),
}

/// Hands rows to the thread that writes them.
#[derive(Debug)]
pub struct Recorder {
    queue: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// A recorder into `folder` from the start, with a row's step in this column of the CSV.
    ///
    /// # Errors
    /// When the files cannot be made.
    pub fn new(folder: &Path, column: &str) -> io::Result<Self> {
        let events = TensorBoardSink::new(folder)?;
        let csv = CsvSink::new(&folder.join("progress.csv"), column)?;
        Self::of(events, csv, None)
    }

    /// A recorder that continues from the position in a checkpoint. Later entries are cut off, since the
    /// resumed run writes them again. A file that is gone, cut off or damaged is begun anew, and what was lost is
    /// said.
    ///
    /// # Errors
    /// When the files cannot be opened or made, or something else than a file is in their place.
    pub fn resume(folder: &Path, column: &str, position: &Position) -> io::Result<(Self, Vec<String>)> {
        let (events, of_events) = TensorBoardSink::resume(folder, position)?;
        let (csv, of_csv) = CsvSink::resume(&folder.join("progress.csv"), column, position.step)?;
        let warnings = of_events.into_iter().chain(of_csv).collect();
        Ok((Self::of(events, csv, position.step)?, warnings))
    }

    fn of(events: TensorBoardSink, csv: CsvSink, last: Option<u64>) -> io::Result<Self> {
        let (queue, messages) = bounded(QUEUE);
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || Writer { events, csv, last, failure: None }.run(&messages))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Adds a row to the log.
    pub fn row(&self, row: Row) {
        self.send(Message::Row(row));
    }

    /// Adds a note to the log.
    pub fn note(&self, note: Note) {
        self.send(Message::Note(note));
    }

    /// Waits until everything is on the disk. Returns the position for a checkpoint, and a message if a write
    /// has failed since the last flush.
    pub fn flush(&self) -> (Position, Option<String>) {
        let (answer, result) = bounded(1);
        self.send(Message::Flush(answer));
        result.recv().unwrap_or_else(|_| (Position::default(), Some("the recorder has stopped".into())))
    }

    fn send(&self, message: Message) {
        // The thread ends only when the queue is closed, so that sending cannot fail before that.
        if let Some(queue) = &self.queue {
            let _ = queue.send(message);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    events: TensorBoardSink,
    csv: CsvSink,
    last: Option<u64>,
    failure: Option<String>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        for message in messages {
            match message {
                Message::Row(row) => {
                    let events = self.events.row(&row);
                    let csv = self.csv.row(&row);
                    self.last = Some(row.step);
                    self.note_failure("TensorBoard events", events);
                    self.note_failure("progress.csv", csv);
                }
                Message::Note(note) => {
                    let events = self.events.note(&note);
                    self.note_failure("TensorBoard events", events);
                }
                Message::Flush(answer) => {
                    let synced = self.events.sync().and(self.csv.sync());
                    self.note_failure("the log", synced);
                    let (events_file, events_bytes) = self.events.position();
                    let position = Position { step: self.last, events_file, events_bytes };
                    // A run that is being dropped no longer waits for the answer.
                    let _ = answer.send((position, self.failure.take()));
                }
            }
        }
    }

    fn note_failure(&mut self, what: &str, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert_with(|| format!("{what} could not be written: {error}"));
        }
    }
}

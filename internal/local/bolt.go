package local

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// Bolt is a Store in one file. Commits that come at the same time share one
// write to the disk. Only one process can have the file open.
type Bolt struct {
	db      *bbolt.DB
	commits chan boltCommit
	done    chan struct{}

	// Texts are the definitions that were read, by hash: all executions of a
	// state machine share one.
	texts sync.Map
}

// Buckets of the file. Executions have a number, so that they are read in the
// order in which they came, and keys of history are short.
var (
	machinesBucket    = []byte("machines")    // ARN -> Machine
	definitionsBucket = []byte("definitions") // hash -> text
	executionsBucket  = []byte("executions")  // number -> boltRecord
	numbersBucket     = []byte("numbers")     // ARN -> number
	historyBucket     = []byte("history")     // number, first event's ID -> block of events
)

// boltRecord is a Record with its definition by hash.
type boltRecord struct {
	Record
	DefinitionHash []byte
}

type boltCommit struct {
	arn        string
	record     []byte
	hash       []byte
	definition string
	firstEvent int64
	block      []byte
	done       chan error
}

// OpenBolt opens the file, and makes it if it is missing.
func OpenBolt(path string) (*Bolt, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{machinesBucket, definitionsBucket, executionsBucket, numbersBucket, historyBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), db.Close())
	}
	b := &Bolt{db: db, commits: make(chan boltCommit, 256), done: make(chan struct{})}
	go b.write()
	return b, nil
}

// Close waits for commits under way and closes the file. No call may follow.
func (b *Bolt) Close() error {
	close(b.commits)
	<-b.done
	return b.db.Close()
}

// PutMachine is for Store.
func (b *Bolt) PutMachine(m Machine) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(machinesBucket).Put([]byte(m.ARN), data) })
}

// DeleteMachine is for Store.
func (b *Bolt) DeleteMachine(arn string) error {
	return b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(machinesBucket).Delete([]byte(arn)) })
}

// Machines is for Store.
func (b *Bolt) Machines() ([]Machine, error) {
	var out []Machine
	err := b.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(machinesBucket).ForEach(func(_, v []byte) error {
			var m Machine
			if err := json.Unmarshal(v, &m); err != nil {
				return err
			}
			out = append(out, m)
			return nil
		})
	})
	return out, err
}

// Commit is for Store.
func (b *Bolt) Commit(r Record, history []asl.HistoryEvent) error {
	hash := sha256.Sum256([]byte(r.Definition))
	c := boltCommit{arn: r.Execution.ID, hash: hash[:], definition: r.Definition, done: make(chan error, 1)}
	stored := boltRecord{Record: r, DefinitionHash: hash[:]}
	stored.Definition = ""
	var err error
	if c.record, err = json.Marshal(stored); err != nil {
		return err
	}
	if len(history) > 0 {
		c.firstEvent = history[0].ID
		if c.block, err = packEvents(history); err != nil {
			return err
		}
	}
	b.commits <- c
	return <-c.done
}

// maxBatch bounds how many commits share one write.
const maxBatch = 512

// write takes commits as they come, all that wait at once.
func (b *Bolt) write() {
	defer close(b.done)
	for c := range b.commits {
		batch := []boltCommit{c}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case c, ok := <-b.commits:
				if more = ok; ok {
					batch = append(batch, c)
				}
			default:
				more = false
			}
		}
		err := b.db.Update(func(tx *bbolt.Tx) error {
			for _, c := range batch {
				if err := c.put(tx); err != nil {
					return err
				}
			}
			return nil
		})
		for _, c := range batch {
			c.done <- err
		}
	}
}

func (c boltCommit) put(tx *bbolt.Tx) error {
	number := tx.Bucket(numbersBucket).Get([]byte(c.arn))
	if number == nil {
		n, err := tx.Bucket(executionsBucket).NextSequence()
		if err != nil {
			return err
		}
		number = binary.BigEndian.AppendUint64(nil, n)
		if err := tx.Bucket(numbersBucket).Put([]byte(c.arn), number); err != nil {
			return err
		}
		if d := tx.Bucket(definitionsBucket); d.Get(c.hash) == nil {
			if err := d.Put(c.hash, []byte(c.definition)); err != nil {
				return err
			}
		}
	}
	if err := tx.Bucket(executionsBucket).Put(number, c.record); err != nil || c.block == nil {
		return err
	}
	return tx.Bucket(historyBucket).Put(historyKey(number, c.firstEvent), c.block)
}

func historyKey(number []byte, event int64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(nil), number...), uint64(event))
}

// Record is for Store.
func (b *Bolt) Record(arn string) (Record, error) {
	var r Record
	err := b.db.View(func(tx *bbolt.Tx) error {
		number := tx.Bucket(numbersBucket).Get([]byte(arn))
		if number == nil {
			return ErrNotFound
		}
		var err error
		r, err = b.readRecord(tx, tx.Bucket(executionsBucket).Get(number))
		return err
	})
	return r, err
}

func (b *Bolt) readRecord(tx *bbolt.Tx, data []byte) (Record, error) {
	var stored boltRecord
	if err := json.Unmarshal(data, &stored); err != nil {
		return Record{}, err
	}
	text, known := b.texts.Load(string(stored.DefinitionHash))
	if !known {
		text, _ = b.texts.LoadOrStore(string(stored.DefinitionHash), string(tx.Bucket(definitionsBucket).Get(stored.DefinitionHash)))
	}
	stored.Definition = text.(string)
	return stored.Record, nil
}

// Records is for Store.
func (b *Bolt) Records(f func(Record) bool) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(executionsBucket).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			r, err := b.readRecord(tx, v)
			if err != nil {
				return fmt.Errorf("execution number %d: %w", binary.BigEndian.Uint64(k), err)
			}
			if !f(r) {
				return nil
			}
		}
		return nil
	})
}

// History is for Store.
func (b *Bolt) History(arn string, skip, n int, reverse bool) ([]asl.HistoryEvent, error) {
	var out []asl.HistoryEvent
	err := b.db.View(func(tx *bbolt.Tx) error {
		number := tx.Bucket(numbersBucket).Get([]byte(arn))
		if number == nil {
			return ErrNotFound
		}
		c := tx.Bucket(historyBucket).Cursor()
		next := c.Next
		var k, v []byte
		if reverse {
			next = c.Prev
			k, v = seekBefore(c, historyKey(number, 1<<62))
		} else {
			k, v = c.Seek(historyKey(number, int64(skip)+1))
			if k == nil || string(k[:8]) != string(number) || int64(binary.BigEndian.Uint64(k[8:])) > int64(skip)+1 {
				k, v = seekBefore(c, historyKey(number, int64(skip)+1))
			}
		}
		last := int64(0)
		for ; k != nil && string(k[:8]) == string(number) && len(out) < n; k, v = next() {
			events, err := unpackEvents(v)
			if err != nil {
				return err
			}
			if reverse && last == 0 {
				last = events[len(events)-1].ID
			}
			out = appendWanted(out, events, wanted{skip: int64(skip), n: n, last: last, reverse: reverse})
		}
		return nil
	})
	return out, err
}

// wanted is which events of a block a page holds. IDs count from 1 without gaps.
type wanted struct {
	skip    int64
	n       int
	last    int64 // the history's last ID, in reverse
	reverse bool
}

func appendWanted(out, events []asl.HistoryEvent, w wanted) []asl.HistoryEvent {
	for i := range events {
		e := events[i]
		if w.reverse {
			e = events[len(events)-1-i]
		}
		if !w.reverse && e.ID <= w.skip || w.reverse && e.ID > w.last-w.skip || len(out) == w.n {
			continue
		}
		out = append(out, e)
	}
	return out
}

// seekBefore stands on the last key that is before the given one.
func seekBefore(c *bbolt.Cursor, key []byte) (k, v []byte) {
	if k, _ := c.Seek(key); k == nil {
		return c.Last()
	}
	return c.Prev()
}

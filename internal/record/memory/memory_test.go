package memory_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	records "github.com/stepcanary/stepcanary/internal/record/memory"
	"github.com/stepcanary/stepcanary/internal/record/recordtest"
	"github.com/stepcanary/stepcanary/internal/workload"
)

func TestRecords(t *testing.T) {
	recordtest.Run(t, func(t *testing.T) (record.Store, workload.Service) {
		return records.New(memory.New(clock.Real{})), workload.Service{Namespace: "shop", Name: "checkout"}
	})
}

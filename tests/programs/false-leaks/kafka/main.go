// Command kafka produces to librdkafka's own mock cluster and consumes from it, all in one
// process. The cluster keeps the last few megabytes of each partition; warming up fills them.
package main

import (
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"cgoheap.test/false-leaks/steady"
)

const (
	topic        = "events"
	partitions   = 2
	messageBytes = 4 << 10
	// The mock cluster keeps 5 MiB of each partition.
	warmMessages = partitions * (8 << 20) / messageBytes
)

var body = make([]byte, messageBytes)

//go:noinline
func produce(p *kafka.Producer, i int) {
	name := topic
	steady.Must(p.Produce(&kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &name, Partition: int32(i % partitions)},
		Key:            []byte(fmt.Sprintf("key %d", i)),
		Value:          body,
		Headers:        []kafka.Header{{Key: "number", Value: []byte(fmt.Sprint(i))}},
	}, nil))
}

// consume takes what has come so far.
//
//go:noinline
func consume(c *kafka.Consumer) (n int) {
	for {
		switch e := c.Poll(0).(type) {
		case nil:
			return n
		case *kafka.Message:
			steady.Must(e.TopicPartition.Error)
			n++
		case kafka.Error:
			if e.IsFatal() {
				panic(e)
			}
		}
	}
}

func drainReports(p *kafka.Producer) {
	for e := range p.Events() {
		if m, ok := e.(*kafka.Message); ok {
			steady.Must(m.TopicPartition.Error)
		}
	}
}

func main() {
	cluster, err := kafka.NewMockCluster(2)
	steady.Must(err)
	steady.Must(cluster.CreateTopic(topic, partitions, 1))
	servers := cluster.BootstrapServers()
	p, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": servers, "linger.ms": 20})
	steady.Must(err)
	go drainReports(p)
	c, err := kafka.NewConsumer(&kafka.ConfigMap{"bootstrap.servers": servers, "group.id": "g",
		"auto.offset.reset": "earliest", "queued.max.messages.kbytes": 1024})
	steady.Must(err)
	steady.Must(c.Subscribe(topic, nil))
	sent, received := 0, 0
	work := func(int) {
		for i := 0; i < 10; i++ {
			produce(p, sent)
			sent++
		}
		received += consume(c)
	}
	steady.Run(200*time.Millisecond, func() {
		for sent < warmMessages || received == 0 {
			work(0)
			time.Sleep(5 * time.Millisecond)
		}
		p.Flush(10_000)
		received += consume(c)
	}, work)
	fmt.Printf("sent %d received %d\n", sent, received)
	c.Close()
	p.Close()
	cluster.Close()
}

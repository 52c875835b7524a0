package netboot

import "time"

// Limit bounds what clients can ask for. Zero fields have defaults.
type Limit struct {
	PerClient int // requests of one hardware address in a window of 10 s; 0: 100
	PerSecond int // requests of all together; 0: no limit
}

// What a limiter counts with.
const (
	limitWindow  = 10 * time.Second
	limitClients = 1 << 16 // counted at most; a new window begins when there are more
	limitDefault = 100
)

// limiter counts requests in windows. Its memory is bounded, whatever hardware
// addresses somebody invents.
type limiter struct {
	Limit
	clients map[string]int
	began   time.Time
	second  time.Time
	all     int
}

// allow counts a request and tells whether it may be answered; first is the
// first of its client, or of all, that may not.
func (l *limiter) allow(now time.Time, key string) (ok, first bool) {
	if l.clients == nil || now.Sub(l.began) >= limitWindow || now.Before(l.began) || len(l.clients) >= limitClients {
		l.clients, l.began = make(map[string]int), now
	}
	if d := now.Sub(l.second); d >= time.Second || d < 0 {
		l.second, l.all = now, 0
	}
	l.all++
	if l.PerSecond > 0 && l.all > l.PerSecond {
		return false, l.all == l.PerSecond+1
	}
	most := l.PerClient
	if most == 0 {
		most = limitDefault
	}
	l.clients[key]++
	return l.clients[key] <= most, l.clients[key] == most+1
}

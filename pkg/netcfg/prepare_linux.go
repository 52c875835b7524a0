package netcfg

import "slices"

// prepare brings the loopback device up, gives links the names asked for and
// makes VLANs, and returns the links.
func (r *runner) prepare() ([]Link, error) {
	links, err := r.handle.Links()
	if err != nil {
		return nil, err
	}
	changed := false
	for _, l := range links {
		if l.Loop && !l.Up {
			r.warn(r.handle.SetUp(l, true))
		}
		for _, rename := range r.plan.Renames {
			if l.HW == rename.HW && l.Name != rename.Name && l.candidate() && r.firstTime(l, rename.Name) {
				if l.Up {
					r.warn(r.handle.SetUp(l, false))
				}
				r.warn(r.handle.Rename(l, rename.Name))
				changed = true
			}
		}
	}
	for _, v := range r.plan.VLANs {
		parent := slices.IndexFunc(links, func(l Link) bool { return l.Name == v.Parent })
		if parent < 0 || slices.ContainsFunc(links, func(l Link) bool { return l.Name == v.Name }) ||
			!r.firstTime(links[parent], v.Name) {
			continue
		}
		if !links[parent].Up {
			r.warn(r.handle.SetUp(links[parent], true))
		}
		r.warn(r.handle.AddVLAN(links[parent], v))
		changed = true
	}
	if !changed {
		return links, nil
	}
	return r.handle.Links()
}

// firstTime reports whether a link has not yet been asked for this name: what
// the kernel refuses once it refuses at every event.
func (r *runner) firstTime(l Link, name string) bool {
	key := attempt{l.Index, name}
	if slices.Contains(r.attempts, key) {
		return false
	}
	r.attempts = append(r.attempts, key)
	return true
}

// raise brings a link up, ready for every ip= that may use it.
func (r *runner) raise(l Link, links []Link) {
	if r.ipv6 {
		r.warn(r.enable6(l, links))
	}
	if !l.Up {
		r.warn(r.handle.SetUp(l, true))
		r.raised[l.Index] = true
	}
}

// lower takes a link down that we have raised and that no job uses any more.
func (r *runner) lower(l Link) {
	if !r.raised[l.Index] || slices.ContainsFunc(r.jobs, func(j *job) bool { return j.on(l) != nil }) {
		return
	}
	r.raised[l.Index] = false
	r.warn(r.handle.SetUp(l, false))
}

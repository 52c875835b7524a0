//go:build !nonet

package boot

import (
	"errors"
	"net/netip"
	"strings"

	"rambox/pkg/cmdline"
)

// nfs reads where an NFS root is: root=nfs:[SERVER:]PATH[:OPTIONS] and nfs4:
// (dracut.cmdline(7)), or root=/dev/nfs with nfsroot=[SERVER:]PATH[,OPTIONS]
// (Documentation/admin-guide/nfs/nfsroot.rst). What is not said there, the
// lease says.
func (r *Root) nfs(args cmdline.Args) error {
	r.Kind = RootNFS
	scheme, where, _ := strings.Cut(r.Spec, ":")
	if r.Spec == "/dev/nfs" || r.Spec == "nfs" {
		scheme = "nfs"
		where, _ = args.Value("nfsroot")
	}
	server, rest := "", where
	if !strings.HasPrefix(where, "/") && where != "" {
		// An IPv6 address is in brackets.
		end := strings.IndexByte(where, ']') + 1
		colon := strings.IndexByte(where[end:], ':')
		if colon < 0 {
			return errors.New("want [SERVER:]/PATH")
		}
		server, rest = where[:end+colon], where[end+colon+1:]
		addr := strings.Trim(server, "[]")
		if _, err := netip.ParseAddr(addr); err != nil {
			return errors.New("NFS server " + server + ": name it by its address")
		}
	}
	dir, options, _ := cutAny(rest, ":,")
	if dir != "" && dir[0] != '/' {
		return errors.New("the path on the NFS server is not absolute")
	}
	flags, data := ParseOptions(options)
	r.Flags |= flags &^ msRdonly
	if hasOption(options, "rw") {
		r.Flags &^= msRdonly
	}
	r.Name = server + ":" + dir
	r.Data = strings.Trim(data+","+r.Data, ",")
	if scheme == "nfs4" && !strings.Contains(r.Data, "vers=") {
		r.Data = strings.Trim("vers=4,"+r.Data, ",")
	}
	r.Types = []string{"nfs"}
	return nil
}

// cutAny cuts at the first of several characters.
func cutAny(s, chars string) (before, after string, found bool) {
	i := strings.IndexAny(s, chars)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// nfsMount completes an NFS root by what the lease of a link says, the text of
// /run/net-DEVICE.conf, and returns the source and the options that the kernel
// wants: it takes addresses only, and no lock daemon runs here.
func (r Root) nfsMount(lease map[string]string) (source, data string, err error) {
	server, dir, _ := cutLast(r.Name, ":")
	if server == "" {
		if server = lease["ROOTSERVER"]; server == "" || server == "0.0.0.0" {
			return "", "", errors.New("no NFS server: neither root=nfs:SERVER:/PATH nor the lease names one")
		}
	}
	if dir == "" {
		dir = lease["ROOTPATH"]
		// Option 17 may have the server in it.
		if host, path, ok := strings.Cut(dir, ":"); ok && strings.HasPrefix(path, "/") {
			if _, err := netip.ParseAddr(host); err == nil {
				server = host
			}
			dir = path
		}
		dir, _, _ = strings.Cut(dir, ",")
	}
	if dir == "" {
		// nfsroot.rst; its %s is the client's address.
		dir = "/tftpboot/" + lease["IPV4ADDR"]
	}
	options := []string{"addr=" + strings.Trim(server, "[]")}
	if !strings.Contains(r.Data, "nolock") {
		options = append(options, "nolock")
	}
	if own := lease["IPV4ADDR"]; own != "" {
		options = append(options, "clientaddr="+own)
	}
	if !strings.Contains(r.Data, "vers=") {
		options = append(options, "vers=3")
	}
	if r.Data != "" {
		options = append(options, r.Data)
	}
	return server + ":" + strings.ReplaceAll(dir, "%s", lease["IPV4ADDR"]), strings.Join(options, ","), nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// parseLease reads the shell assignments of a lease file.
func parseLease(text string) map[string]string {
	lease := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			lease[k] = strings.ReplaceAll(strings.Trim(v, "'"), `'\''`, "'")
		}
	}
	return lease
}

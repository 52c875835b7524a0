package netboot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// LoadConfig reads a configuration and looks for its files.
func LoadConfig(file string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, explainPermission(file, err)
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(file, dir, text)
	if err == nil {
		err = c.Files()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Files tells whether the user that this process is can read the files of the
// configuration, and the file itself, which is read again. An error is a
// [*ConfigError].
func (c *Config) Files() error {
	for _, f := range c.files {
		err := readable(f.path)
		if f.key == "dir" {
			if _, err = os.ReadDir(f.path); err != nil {
				err = explainPermission(f.path, err)
			}
		}
		if err != nil {
			return &ConfigError{File: c.File, Line: f.line, Err: fmt.Errorf("%s: %w", f.key, err)}
		}
	}
	if c.File == "" {
		return nil
	}
	if err := readable(c.File); err != nil {
		return &ConfigError{File: c.File, Err: err}
	}
	return nil
}

// readable opens a regular file, to say early what is wrong with it.
func readable(file string) error {
	st, err := os.Stat(file)
	if err != nil {
		return explainPermission(file, err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s: is no regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return explainPermission(file, err)
	}
	return f.Close()
}

// explainPermission says what a file lacks that the user of this process may not
// read: most often it is root's, and the server has become somebody else.
func explainPermission(file string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	who := "user " + strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		who = "user " + u.Username
	}
	path, absErr := filepath.Abs(file)
	if absErr != nil {
		return err
	}
	for i := range path {
		if i == 0 || path[i] != '/' {
			continue
		}
		// A directory that may not be entered hides what is in it.
		next := strings.IndexByte(path[i+1:], '/')
		if next < 0 {
			next = len(path) - i - 1
		}
		if _, err := os.Lstat(path[:i+1+next]); errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s: %s may not enter %s: chmod o+x that, or put the file elsewhere: %w", file, who, path[:i], fs.ErrPermission)
		}
	}
	return fmt.Errorf("%s: %s may not read it: chmod o+r it, or serve as somebody who may (--user): %w", file, who, fs.ErrPermission)
}

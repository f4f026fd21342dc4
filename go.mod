module github.com/stepcanary/stepcanary

go 1.26

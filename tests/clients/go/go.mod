module sluice/tests/clients

go 1.19

require github.com/fivetran/go-fivetran v1.3.5
